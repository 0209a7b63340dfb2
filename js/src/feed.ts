/** The wasm's loader as bytes are fed to it: counts, hashes, tells how far it has come. */

import type { LoadListener } from "./load.js";
import { hasCode } from "./protocol.js";
import type { LoaderOptions, WasmGlue, WasmLoader, WasmModel, WasmSha256 } from "./wasm-contract.js";

/** One attempt at a model. What throws leaves it to be {@link Feed.free | freed}. */
export class Feed {
  readonly #glue: WasmGlue;
  readonly #loader: WasmLoader;
  readonly #listener: LoadListener;
  readonly #pinned: boolean;
  #hash: WasmSha256;
  /** What the loader refused the current file with; of what comes after only the hash is made. */
  #refusal: Error | undefined;
  /** Bytes of the files that have ended. */
  #before = 0;
  /** How long the current file and those after it are, where that is known. */
  readonly #lengths: (number | undefined)[];
  /** Bytes of the current file so far. */
  loaded = 0;

  /**
   * Where the files' hashes are `pinned`, a file that is no model is read to its end: it may be a damaged one. `lengths` are
   * those of all files, as far as they are known.
   */
  constructor(
    glue: WasmGlue,
    options: LoaderOptions,
    listener: LoadListener,
    pinned: boolean,
    lengths: readonly (number | undefined)[],
  ) {
    this.#glue = glue;
    this.#pinned = pinned;
    this.#listener = listener;
    this.#lengths = [...lengths];
    this.#loader = new glue.Loader(JSON.stringify(options));
    this.#hash = new glue.Sha256();
  }

  /** How long the current file is, as its server says. */
  set length(length: number | undefined) {
    this.#lengths[0] = length;
  }

  /** How long the current file is, by its own header, once that is read. */
  get fileBytes(): number | undefined {
    return this.#loader.totalBytes();
  }

  /** Where the current file's header ends, once it is read. */
  get headerBytes(): number | undefined {
    return this.#loader.headerBytes();
  }

  /** Takes the next bytes of the current file. */
  push(bytes: Uint8Array): void {
    if (!this.#refusal) this.#offer(bytes);
    this.#hash.update(bytes);
    this.loaded += bytes.length;
    this.#report();
  }

  #offer(bytes: Uint8Array): void {
    try {
      this.#loader.push(bytes);
    } catch (error) {
      if (!this.#pinned || !isNoModel(error)) throw error;
      this.#refusal = error;
    }
  }

  /** Takes the next bytes of the current file's header, which need no hash: pieces have theirs. */
  pushHeader(bytes: Uint8Array): void {
    this.#loader.push(bytes);
    this.loaded += bytes.length;
  }

  /** Takes the next packed bytes. */
  pushPacked(bytes: Uint8Array): void {
    this.#loader.pushPacked(bytes);
    this.loaded += bytes.length;
    this.#report();
  }

  /** The tensors that have become complete, as they lie in wasm memory; each comes once. */
  *takePacked(): Iterable<Uint8Array> {
    for (;;) {
      const bytes = this.#loader.takePacked();
      if (!bytes) return;
      yield bytes;
    }
  }

  /** The SHA-256 of the current file, which has ended. */
  digest(): string {
    const digest = this.#hash.digest();
    this.#hash = new this.#glue.Sha256();
    return digest;
  }

  /** Throws what is wrong with the current file, whose hash is right. */
  checkFile(): void {
    if (this.#refusal) throw this.#refusal;
  }

  /** Begins the next file. */
  nextFile(): void {
    this.#loader.nextFile();
    this.#lengths.shift();
    this.#before += this.loaded;
    this.loaded = 0;
  }

  /** The model, when the last file has ended. */
  finish(): WasmModel {
    const loaded = this.#before + this.loaded;
    this.#listener.progress({ phase: "prepare", loaded, total: loaded });
    this.free = () => {};
    this.#hash.free();
    return this.#loader.finish();
  }

  /** Gives its memory back, which finishing has done. */
  free = (): void => {
    this.#hash.free();
    this.#loader.free();
  };

  #report(): void {
    // Other origins may show a Content-Length and hide the Content-Encoding that makes it too short.
    const [given, ...later] = this.#lengths;
    const current = [given, this.fileBytes].find((length) => length !== undefined && length >= this.loaded);
    const left = [current, ...later];
    const known = left.filter((length) => length !== undefined);
    const total = known.length < left.length ? undefined : known.reduce((sum, n) => sum + n, this.#before);
    this.#listener.progress({ phase: "download", loaded: this.#before + this.loaded, total });
  }
}

/** Whether an error tells of a file's bytes that they are no model, or none that can be run. */
export function isNoModel(error: unknown): error is Error {
  return hasCode(error) && (error.code === "invalid_model" || error.code === "unsupported_model");
}
