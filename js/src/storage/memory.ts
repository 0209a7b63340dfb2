/** Files in memory, where the browser keeps none: they end with the worker. */

import type { Backend, BackendFile, ListedFile } from "./storage.js";

/** The backend, without files. */
export function openMemory(): Backend {
  return new Memory();
}

class Memory implements Backend {
  readonly kind = "memory";
  readonly #files = new Map<string, MemoryFile>();

  async open(name: string): Promise<BackendFile> {
    const file = this.#files.get(name) ?? new MemoryFile();
    this.#files.set(name, file);
    return file;
  }

  async contents(name: string): Promise<Uint8Array | undefined> {
    const file = this.#files.get(name);
    if (!file) return undefined;
    const contents = new Uint8Array(file.length);
    file.read(0, contents);
    return contents;
  }

  async list(): Promise<ListedFile[]> {
    return Array.from(this.#files, ([name, { length }]) => ({ name, length }));
  }

  async delete(name: string): Promise<void> {
    this.#files.delete(name);
  }
}

class MemoryFile implements BackendFile {
  #chunks: Uint8Array[] = [];
  length = 0;

  read(at: number, into: Uint8Array): number {
    const end = Math.min(at + into.length, this.length);
    let start = 0;
    for (const chunk of this.#chunks) {
      if (start >= end) break;
      const part = chunk.subarray(Math.max(at - start, 0), end - start);
      into.set(part, Math.max(start - at, 0));
      start += chunk.length;
    }
    return Math.max(end - at, 0);
  }

  append(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
    this.length += bytes.length;
  }

  truncate(length: number): void {
    let start = 0;
    this.#chunks = this.#chunks.flatMap((chunk) => {
      const part = chunk.subarray(0, Math.max(length - start, 0));
      start += chunk.length;
      return part.length > 0 ? [part] : [];
    });
    this.length = length;
  }

  flush(): void {}

  close(): void {}

  abandon(): void {}
}
