/** Files in the origin private file system (https://fs.spec.whatwg.org), in the folder `tallow`. */

import { isQuotaError, type Backend, type BackendFile, type ListedFile } from "./storage.js";

/** What TypeScript's types for pages leave out. */
interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(length: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

function createSyncAccessHandle(file: FileSystemFileHandle): Promise<SyncAccessHandle> {
  return (
    file as FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> }
  ).createSyncAccessHandle();
}

/** The backend, or why there is none here; in a worker it has opened a file, which some browsers refuse. */
export async function openOpfs(): Promise<Backend> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle("tallow", { create: true });
  if (!("document" in globalThis)) await probe(folder);
  return new Opfs(folder);
}

async function probe(folder: FileSystemDirectoryHandle): Promise<void> {
  try {
    const file = await folder.getFileHandle("_probe", { create: true });
    (await createSyncAccessHandle(file)).close();
  } catch (error) {
    // Another tab has it open, or files fill the quota.
    if (!isBusy(error) && !isQuotaError(error)) throw error;
  }
}

class Opfs implements Backend {
  readonly kind = "opfs";
  readonly #folder: FileSystemDirectoryHandle;

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  async open(name: string): Promise<BackendFile> {
    const file = await this.#folder.getFileHandle(name, { create: true });
    return new OpfsFile(await whenFree(() => createSyncAccessHandle(file)));
  }

  async contents(name: string): Promise<Uint8Array | undefined> {
    return whenFree(() =>
      unlessAbsent(async () => {
        const handle = await this.#folder.getFileHandle(name);
        return new Uint8Array(await (await handle.getFile()).arrayBuffer());
      }),
    );
  }

  async list(): Promise<ListedFile[]> {
    const files: ListedFile[] = [];
    for await (const [name, handle] of this.#folder.entries()) {
      if (handle.kind !== "file") continue;
      const file = await unlessAbsent(() => handle.getFile());
      if (file) files.push({ name, length: file.size });
    }
    return files;
  }

  async delete(name: string): Promise<void> {
    await whenFree(() => unlessAbsent(() => this.#folder.removeEntry(name)));
  }
}

class OpfsFile implements BackendFile {
  readonly #handle: SyncAccessHandle;
  length: number;

  constructor(handle: SyncAccessHandle) {
    this.#handle = handle;
    this.length = handle.getSize();
  }

  read(at: number, into: Uint8Array): number {
    return at < this.length ? this.#handle.read(into, { at }) : 0;
  }

  append(bytes: Uint8Array): void {
    // Chromium off the record tells a negative error as if it had written 4 GB.
    const written = this.#handle.write(bytes, { at: this.length });
    if (written !== bytes.length)
      throw new DOMException(`${bytes.length} bytes found no room`, "QuotaExceededError");
    this.length += written;
  }

  truncate(length: number): void {
    this.#handle.truncate(length);
    this.length = length;
  }

  flush(): void {
    this.#handle.flush();
  }

  close(): void {
    try {
      this.#handle.flush();
    } finally {
      this.#handle.close();
    }
  }

  abandon(): void {
    this.#handle.close();
  }
}

/** Milliseconds between attempts: the handle of a killed tab stays for a moment. */
const ATTEMPTS = [10, 30, 100, 300, 1000];

/** `action`, again where another handle is in its way. */
async function whenFree<T>(action: () => Promise<T>): Promise<T> {
  for (const delay of ATTEMPTS) {
    try {
      return await action();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
  return action();
}

/** A file is locked, by Chromium's and Firefox's name and by WebKit's, or has changed while it was read. */
function isBusy(error: unknown): boolean {
  const names = ["NoModificationAllowedError", "InvalidStateError", "NotReadableError"];
  return error instanceof DOMException && names.includes(error.name);
}

async function unlessAbsent<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
}
