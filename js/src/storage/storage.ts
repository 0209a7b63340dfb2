/**
 * Files that outlive the page, wherever the browser keeps them: the contract, and what all its {@link Backend}s share,
 * which is names, errors, and texts that are replaced as a whole.
 */

import { TallowError } from "../errors.js";
import { shown } from "../validate.js";
import { decodeSlot, encodeSlot, SLOT_NAME, slotName, type Slot } from "./slot.js";

/** Where files are kept: origin private file system, Cache API, or this worker's memory. */
export type StorageKind = "opfs" | "cache-api" | "memory";

/** A file as one kind of storage keeps it; see {@link StoredFile}. */
export interface BackendFile {
  readonly length: number;
  read(at: number, into: Uint8Array): Promise<number> | number;
  append(bytes: Uint8Array): Promise<void> | void;
  truncate(length: number): Promise<void> | void;
  flush(): Promise<void> | void;
  close(): Promise<void> | void;
  abandon(): Promise<void> | void;
}

/** One kind of storage. Its errors are the browser's. */
export interface Backend {
  readonly kind: StorageKind;
  /** Opens a file, and makes it where there is none. */
  open(name: string): Promise<BackendFile>;
  /** All of a file that is not open here; `undefined` where there is none. */
  contents(name: string): Promise<Uint8Array | undefined>;
  list(): Promise<ListedFile[]>;
  /** A file that is not there is fine. */
  delete(name: string): Promise<void>;
}

/** A name that is taken, and the bytes that it holds. */
export interface ListedFile {
  name: string;
  length: number;
}

/**
 * Files and texts by name. A name has small letters, digits, and `.` and `-` between them, and holds a file or a text,
 * not both. Each name has one writer at a time: callers hold a Web Lock. Failures are `storage_failed`, with the
 * browser's error as `cause`.
 */
export class FileStore {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get kind(): StorageKind {
    return this.#backend.kind;
  }

  /** Opens a file to read and append, and makes it where there is none. Not on a page. */
  async open(name: string): Promise<StoredFile> {
    checkName(name);
    return new StoredFile(name, await attempt(name, "opened", () => this.#backend.open(name)));
  }

  /** A text, or `undefined` where there is none. */
  async readText(name: string): Promise<string | undefined> {
    checkName(name);
    return (await this.#newest(name))?.text;
  }

  /** Writes a text. A reader sees the old one or the new one, also where the browser is killed meanwhile. Not on a page. */
  async writeText(name: string, text: string): Promise<void> {
    checkName(name);
    const turn = ((await this.#newest(name))?.turn ?? 0) + 1;
    await attempt(name, "written", async () => {
      const file = await this.#backend.open(slotName(name, turn));
      try {
        await file.truncate(0);
        await file.append(encodeSlot({ turn, text }));
        await file.flush();
      } finally {
        await file.close();
      }
    });
  }

  /** All files and texts, in no particular order. */
  async list(): Promise<ListedFile[]> {
    const stored = await attempt("tallow", "listed", () => this.#backend.list());
    const texts = new Set(stored.map(({ name }) => SLOT_NAME.exec(name)?.[1] ?? ""));
    const listed = stored.filter(({ name }) => NAME.test(name));
    for (const name of texts) {
      const text = NAME.test(name) ? await this.readText(name) : undefined;
      if (text !== undefined) listed.push({ name, length: new TextEncoder().encode(text).length });
    }
    return listed;
  }

  /** Deletes a file or a text; one that is not there is fine. */
  async delete(name: string): Promise<void> {
    checkName(name);
    const turn = (await this.#newest(name))?.turn ?? 0;
    await attempt(name, "deleted", async () => {
      await this.#backend.delete(name);
      // The newest text last, so that no older one comes back.
      await this.#backend.delete(slotName(name, turn + 1));
      await this.#backend.delete(slotName(name, turn));
    });
  }

  /** The newest whole text of a name. */
  async #newest(name: string): Promise<Slot | undefined> {
    for (let attempts = 3; ; attempts--) {
      const stored = await attempt(name, "read", () =>
        Promise.all([0, 1].map((turn) => this.#backend.contents(slotName(name, turn)))),
      );
      const slots = stored.map((bytes) => bytes && decodeSlot(bytes)).filter((slot) => slot !== undefined);
      const newest = slots.sort((a, b) => b.turn - a.turn)[0];
      // Both are cut off where the writer was faster than this reader, or was killed in its first text.
      const cutOff = !newest && stored.some((bytes) => bytes);
      if (!cutOff || attempts === 1) return newest;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** An open file of a {@link FileStore}. After a failure, what was flushed is still there, and perhaps more. */
export class StoredFile {
  readonly #name: string;
  readonly #file: BackendFile;
  #closed = false;

  constructor(name: string, file: BackendFile) {
    this.#name = name;
    this.#file = file;
  }

  get length(): number {
    return this.#file.length;
  }

  /** Fills `into` with what is stored from `at` on; how many bytes that was, fewer only at the end of the file. */
  read(at: number, into: Uint8Array): Promise<number> {
    return this.#attempt("read", () => this.#file.read(at, into));
  }

  /** Adds `bytes`, which may lie in shared memory, at the end. */
  append(bytes: Uint8Array): Promise<void> {
    return this.#attempt("written", () => this.#file.append(bytes));
  }

  /** Cuts the file; a greater length than it has changes nothing. */
  truncate(length: number): Promise<void> {
    return this.#attempt("truncated", () => {
      if (length < this.#file.length) return this.#file.truncate(length);
    });
  }

  /** Resolves when all that was appended would survive the browser being killed. */
  flush(): Promise<void> {
    return this.#attempt("flushed", () => this.#file.flush());
  }

  /** Flushes, and lets others open the file. */
  close(): Promise<void> {
    return this.#end(() => this.#file.close());
  }

  /** Lets others open the file, without what was not flushed. */
  abandon(): Promise<void> {
    return this.#end(() => this.#file.abandon());
  }

  #end(action: () => Promise<void> | void): Promise<void> {
    const ended = this.#attempt("closed", action);
    this.#closed = true;
    return ended;
  }

  #attempt<T>(what: string, action: () => T | Promise<T>): Promise<T> {
    return attempt(this.#name, what, () => {
      if (this.#closed) throw new DOMException("the file is closed", "InvalidStateError");
      return action();
    });
  }
}

/** Whether `error`, or what caused it, is that the browser's quota or the disk is full. */
export function isQuotaError(error: unknown): boolean {
  const isQuota = (error: unknown) => error instanceof Error && error.name === "QuotaExceededError";
  return isQuota(error) || (error instanceof Error && isQuota(error.cause));
}

const NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

function checkName(name: string): void {
  if (!NAME.test(name))
    throw new TallowError(
      "internal",
      `a stored file's name should be small letters, digits, \`.\` and \`-\`, got ${shown(name)}`,
    );
}

async function attempt<T>(name: string, what: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new TallowError("storage_failed", `\`${name}\` could not be ${what}`, { cause });
  }
}
