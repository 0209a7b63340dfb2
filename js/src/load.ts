/**
 * How a model comes into the wasm: from what the page gave, from the network, or from storage. What comes from the network
 * is stored as it arrives, and so are the packed weights, which the next load reads instead.
 */

import { Changed, download } from "./download.js";
import { TallowError } from "./errors.js";
import { Feed, isNoModel } from "./feed.js";
import { free } from "./free.js";
import type { LoadProgress } from "./model.js";
import { Damaged, lengthOf, type Piece, type PieceWriter } from "./pieces.js";
import { hasCode } from "./protocol.js";
import { idOf } from "./record.js";
import { chunksOf, type WireSource } from "./source.js";
import { openStorage } from "./storage/open.js";
import type { FileStore } from "./storage/storage.js";
import { StoredModel } from "./stored-model.js";
import type { LoaderOptions, WasmGlue, WasmModel } from "./wasm-contract.js";

/** What to load. */
export interface LoadRequest {
  source: WireSource;
  /** What each file should hash to, where the page knows. */
  sha256: readonly string[] | undefined;
  /** Whether files from the network are stored, and taken from storage. */
  cache: boolean;
  /** Once the wasm is there to be called; storage is opened meanwhile. */
  options: Promise<LoaderOptions>;
}

/** Is told how a load goes. */
export interface LoadListener {
  progress(progress: LoadProgress): void;
  warning(warning: TallowError): void;
}

/** How often a load begins anew, where storage was damaged or a file changed on its server. */
const MAX_RESTARTS = 3;

/** A model, and what was loaded. */
export interface Loaded {
  model: WasmModel;
  /** Of each of its files. */
  sha256: readonly string[];
}

/** Loads a model. */
export async function load(glue: WasmGlue, request: LoadRequest, listener: LoadListener): Promise<Loaded> {
  const { source, cache } = request;
  // Awaited where it is needed, which may be too late to be called handled.
  request.options.catch(() => {});
  if (!("urls" in source)) return new Load(glue, request, listener).fromPage(source);
  const { urls } = source;
  // An object URL or a `data:` URL names these bytes this once.
  const store = cache && urls.every((url) => /^https?:/.test(url)) ? await openStore(listener) : undefined;
  if (!store) return restarting(() => new Load(glue, request, listener).fromUrls(urls));

  const id = await idOf(urls);
  return locked(id, listener, async (listener) => {
    try {
      return await withStored(store, id, urls, (stored) =>
        restarting(() => new Load(glue, request, listener, stored).fromUrls(urls)),
      );
    } catch (error) {
      // What storage fails in as a whole, or damages again and again, is loaded without it.
      if (!(error instanceof Damaged) && !isStorageError(error)) throw error;
      listener.warning(notCached(error.message, error.cause));
      return restarting(() => new Load(glue, request, listener).fromUrls(urls));
    }
  });
}

/** Runs `load` with what is stored of a model. */
async function withStored<T>(
  store: FileStore,
  id: string,
  urls: readonly string[],
  load: (stored: StoredModel) => Promise<T>,
): Promise<T> {
  const stored = await StoredModel.open(store, id, urls);
  try {
    return await load(stored);
  } finally {
    await stored.close().catch(() => {});
  }
}

/** One attempt at a load. */
class Load {
  readonly #glue: WasmGlue;
  readonly #request: LoadRequest;
  readonly #listener: LoadListener;
  /** Nothing where files are not stored, or no longer. */
  #stored: StoredModel | undefined;
  #packed: { writer: PieceWriter; pieces: Piece[] } | undefined;

  constructor(glue: WasmGlue, request: LoadRequest, listener: LoadListener, stored?: StoredModel) {
    this.#glue = glue;
    this.#request = request;
    this.#listener = listener;
    this.#stored = stored;
  }

  async fromPage(source: Exclude<WireSource, { urls: string[] }>): Promise<Loaded> {
    const files = chunksOf(source);
    const lengths = files.map(({ length }) => length);
    return this.#feeding({}, lengths, async (feed) => {
      const digests: string[] = [];
      for (const [i, { chunks, name }] of files.entries()) {
        if (i > 0) feed.nextFile();
        for await (const chunk of chunks) feed.push(chunk);
        const digest = feed.digest();
        await this.#verify(digest, i, name || (i > 0 ? `file ${i + 1} of the source` : "the source"));
        feed.checkFile();
        digests.push(digest);
      }
      return digests;
    });
  }

  async fromUrls(urls: readonly string[]): Promise<Loaded> {
    return (await this.#fromPacked()) ?? this.#fromFiles(urls);
  }

  /** From the files' headers and the packed weights, if they are stored and still right. */
  async #fromPacked(): Promise<Loaded | undefined> {
    const stored = this.#stored;
    const packed = stored?.record.packed;
    if (!stored || !packed) return undefined;
    const expected = this.#request.sha256 ?? packed.of;
    // Read while the wasm starts, and to the end also where it does not: the lock goes with this load.
    const headers = await this.#readHeaders(stored);
    await this.#request.options;
    if (packed.layout !== this.#glue.layoutVersion() || !isEqual(packed.of, expected)) return undefined;

    const lengths = headers.map(({ length }) => length);
    lengths.push((lengths.pop() ?? 0) + lengthOf(packed.pieces));
    const loading = this.#feeding({ packed: true }, lengths, async (feed) => {
      for (const [i, header] of headers.entries()) {
        if (i > 0) feed.nextFile();
        feed.pushHeader(header);
      }
      await this.#intact(
        () => stored.discardPacked(),
        async () => {
          for await (const bytes of stored.readPacked()) feed.pushPacked(bytes);
        },
      );
      return packed.of;
    });
    return loading.catch(async (error: unknown) => {
      // Too few pieces or too many, each as it was written.
      if (!isNoModel(error) && !isIntegrityError(error)) throw error;
      await stored.discardPacked();
      throw new Damaged("the packed weights are not those of the file", { cause: error });
    });
  }

  /** The headers of all files, from storage. */
  async #readHeaders(stored: StoredModel): Promise<Uint8Array[]> {
    const headers: Uint8Array[] = [];
    for (const [i, { complete }] of stored.record.files.entries()) {
      const header = new Uint8Array(complete?.headerBytes ?? 0);
      let length = 0;
      await this.#intact(
        () => stored.discardFile(i),
        async () => {
          for await (const bytes of stored.readFile(i, header.length)) {
            header.set(bytes.subarray(0, header.length - length), length);
            length += bytes.length;
          }
        },
      );
      headers.push(header);
    }
    return headers;
  }

  /** From the files, as far as they are stored, and the network. */
  async #fromFiles(urls: readonly string[]): Promise<Loaded> {
    await this.#discardOthers();
    await this.#beginPacked();
    const lengths = urls.map((_, i) => this.#stored?.record.files[i]?.version?.length);
    const loading = this.#feeding({}, lengths, async (feed) => {
      const digests: string[] = [];
      for (const [i, url] of urls.entries()) {
        if (i > 0) feed.nextFile();
        digests.push(await this.#file(feed, i, url));
      }
      await this.#keepPacked(digests);
      return digests;
    });
    return loading.catch(async (error: unknown) => {
      // It may be another file that is wrong than the one where that was found.
      if (isNoModel(error)) await this.#keep((stored) => stored.discard());
      throw error;
    });
  }

  /** Discards files that are others than those asked for, and with them the packed weights. */
  async #discardOthers(): Promise<void> {
    for (const [i, wanted] of this.#request.sha256?.entries() ?? []) {
      const complete = this.#stored?.record.files[i]?.complete;
      if (complete && complete.sha256 !== wanted) await this.#keep((stored) => stored.discardFile(i));
    }
  }

  /** Feeds one file, and tells its digest. */
  async #file(feed: Feed, i: number, url: string): Promise<string> {
    const stored = this.#stored;
    const kept = stored?.record.files[i];
    if (stored && kept?.pieces.length) {
      await this.#intact(
        () => stored.discardFile(i),
        async () => {
          for await (const bytes of stored.readFile(i)) {
            feed.push(bytes);
            await this.#writePacked(feed);
          }
        },
      );
    }
    if (!kept?.complete) await this.#fetch(feed, i, url);

    const digest = feed.digest();
    if (kept?.complete && kept.complete.sha256 !== digest) {
      await this.#keep((stored) => stored.discardFile(i));
      throw new Damaged("a stored file is not what was hashed");
    }
    await this.#verify(digest, i, url);
    feed.checkFile();
    const headerBytes = feed.headerBytes ?? 0;
    if (!kept?.complete) await this.#keep((stored) => stored.complete(i, digest, headerBytes));
    return digest;
  }

  /** Feeds the rest of a file from the network, and stores it. */
  async #fetch(feed: Feed, i: number, url: string): Promise<void> {
    let writer: PieceWriter | undefined;
    try {
      const { version, chunks } = await download(url, {
        from: feed.loaded,
        version: this.#stored?.record.files[i]?.version,
        pinned: this.#request.sha256 !== undefined,
        stored: this.#stored !== undefined,
        expectedLength: () => feed.fileBytes,
      });
      feed.length = version.length;
      await this.#keep(
        async (stored) => (writer = await stored.writeFile(i, version, () => this.#dropPacked(stored))),
      );
      for await (const chunk of chunks) {
        feed.push(chunk);
        await this.#keep(async () => writer?.write(chunk));
        await this.#writePacked(feed);
      }
      await this.#keep(async () => writer?.end());
    } catch (error) {
      // What is no model, or another version, is forgotten; what broke off, or had no room in memory, is gone on with.
      const isWrong = error instanceof Changed || isNoModel(error) || isIntegrityError(error);
      if (isWrong) await this.#keep((stored) => stored.discardFile(i));
      else await this.#keep(async () => writer?.end());
      throw error;
    }
  }

  /** Runs `feeding`, which tells the files' digests, on a new feed of files so long, and finishes its model. */
  async #feeding(
    options: LoaderOptions,
    lengths: readonly (number | undefined)[],
    feeding: (feed: Feed) => Promise<readonly string[]>,
  ): Promise<Loaded> {
    const given = await this.#request.options;
    const pinned = this.#request.sha256 !== undefined;
    const feed = new Feed(this.#glue, { ...given, ...options }, this.#listener, pinned, lengths);
    try {
      const digests = await feeding(feed);
      return { model: feed.finish(), sha256: digests };
    } catch (error) {
      free(feed);
      throw error;
    }
  }

  /** Runs what reads from storage; where that is damaged or fails, it is discarded. */
  async #intact(discard: () => Promise<void>, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof Damaged) && !isStorageError(error)) throw error;
      await discard();
      throw error instanceof Damaged ? error : new Damaged(String(error), { cause: error });
    }
  }

  /** Runs what writes to storage, as long as that works: a model that cannot be stored runs all the same. */
  async #keep(write: (stored: StoredModel) => Promise<unknown>): Promise<void> {
    const stored = this.#stored;
    if (!stored) return;
    try {
      await write(stored);
    } catch (error) {
      if (!isStorageError(error)) throw error;
      this.#stored = this.#packed = undefined;
      this.#listener.warning(notCached(error.message, error.cause));
      await stored.discard().catch(() => {});
    }
  }

  /** Opens what the packed weights are stored in. Without room for it, the files alone are stored. */
  async #beginPacked(): Promise<void> {
    const pieces: Piece[] = [];
    try {
      const writer = await this.#stored?.writePacked(pieces);
      if (writer) this.#packed = { pieces, writer };
    } catch (error) {
      if (!isStorageError(error)) throw error;
    }
  }

  /** Stores the tensors that have become complete. Without room for them, the files alone are stored. */
  async #writePacked(feed: Feed): Promise<void> {
    for (const tensor of feed.takePacked()) await this.#tryPacked(({ writer }) => writer.write(tensor));
  }

  /** Makes room for the files; whether there were packed weights in their place. */
  async #dropPacked(stored: StoredModel): Promise<boolean> {
    if (!this.#packed) return false;
    this.#packed = undefined;
    await stored.discardPacked();
    return true;
  }

  async #keepPacked(of: string[]): Promise<void> {
    await this.#tryPacked(async ({ writer, pieces }, stored) => {
      await writer.end();
      stored.record.packed = { layout: this.#glue.layoutVersion(), of, pieces };
      await stored.save();
    });
  }

  async #tryPacked(
    write: (packed: { writer: PieceWriter; pieces: Piece[] }, stored: StoredModel) => Promise<void>,
  ): Promise<void> {
    const [stored, packed] = [this.#stored, this.#packed];
    if (!stored || !packed) return;
    try {
      await write(packed, stored);
    } catch (error) {
      if (!isStorageError(error)) throw error;
      await this.#keep((stored) => this.#dropPacked(stored));
    }
  }

  async #verify(digest: string, i: number, name: string): Promise<void> {
    const wanted = this.#request.sha256?.[i];
    if (wanted === undefined || wanted === digest) return;
    await this.#keep((stored) => stored.discardFile(i));
    throw new TallowError(
      "integrity_error",
      `\`${name}\` should have the SHA-256 ${wanted}, but has ${digest}`,
    );
  }
}

/** Runs attempts until one does not find storage damaged or the server's file changed. */
export async function restarting<T>(attempt: () => Promise<T>): Promise<T> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await attempt();
    } catch (error) {
      const mayRestart = error instanceof Damaged || error instanceof Changed;
      if (!mayRestart || restarts === MAX_RESTARTS) throw error;
    }
  }
}

/**
 * Runs `load` while no other tab loads the model of this id. Until then the listener is told of that tab's progress; this
 * one's is told to those who wait.
 */
async function locked<T>(
  id: string,
  listener: LoadListener,
  load: (listener: LoadListener) => Promise<T>,
): Promise<T> {
  const channel = new BroadcastChannel(id);
  channel.onmessage = ({ data }: MessageEvent<LoadProgress>) => listener.progress(data);
  try {
    return await navigator.locks.request(id, () => {
      channel.onmessage = null;
      return load({
        warning: (warning) => listener.warning(warning),
        progress(progress) {
          listener.progress(progress);
          if (progress.phase === "download") channel.postMessage(progress);
        },
      });
    });
  } finally {
    channel.close();
  }
}

/** Where models are stored; nothing, and a warning, where they cannot be. */
async function openStore(listener: LoadListener): Promise<FileStore | undefined> {
  const { store, fallback } = await openStorage();
  if (store.kind !== "memory") return store;
  listener.warning(notCached(fallback ?? "there is no storage"));
  return undefined;
}

function notCached(detail: string, cause?: unknown): TallowError {
  return new TallowError("storage_failed", `the model is not cached: ${detail}`, { cause });
}

function isStorageError(error: unknown): error is TallowError {
  return error instanceof TallowError && error.code === "storage_failed";
}

function isIntegrityError(error: unknown): boolean {
  return hasCode(error) && error.code === "integrity_error";
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
