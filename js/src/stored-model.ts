/** A model in storage: its files as far as they have come, its packed weights, and their record. */

import type { RemoteVersion } from "./download.js";
import { Damaged, lengthOf, PieceWriter, readPieces, type Piece } from "./pieces.js";
import { nameOf, newRecord, parseRecord, type ModelRecord } from "./record.js";
import type { FileStore, StoredFile } from "./storage/storage.js";

/** What storage has of a model. Whoever opens it holds the Web Lock of its id. */
export class StoredModel {
  readonly #store: FileStore;
  readonly #id: string;
  readonly record: ModelRecord;
  readonly #open = new Map<string, StoredFile>();
  readonly #writers = new Map<string, PieceWriter>();
  /** The last save of the record. */
  #saved: Promise<void> = Promise.resolve();

  private constructor(store: FileStore, id: string, record: ModelRecord) {
    this.#store = store;
    this.#id = id;
    this.record = record;
  }

  /** What is stored of the model with these files, which may be nothing. */
  static async open(store: FileStore, id: string, urls: readonly string[]): Promise<StoredModel> {
    const record = parseRecord(await store.readText(nameOf.record(id)));
    return new StoredModel(store, id, record ?? newRecord(urls));
  }

  /** What is stored of file `i`, verified; all of it, or the pieces that its first `length` bytes lie in. */
  readFile(i: number, length = Infinity): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { pieces } = this.#file(i);
    const end = pieces.findIndex((_, n) => lengthOf(pieces.slice(0, n + 1)) >= length);
    return this.#read(nameOf.file(this.#id, i), pieces, end < 0 ? pieces : pieces.slice(0, end + 1));
  }

  /** Writes file `i` on behind what is stored; where there is no room, `makeRoom` tells whether it made some. */
  async writeFile(i: number, version: RemoteVersion, makeRoom: () => Promise<boolean>): Promise<PieceWriter> {
    const file = this.#file(i);
    file.version = version;
    return this.#writer(nameOf.file(this.#id, i), file.pieces, () => this.save(), makeRoom);
  }

  /** Notes that all of file `i` is stored. */
  async complete(i: number, sha256: string, headerBytes: number): Promise<void> {
    this.#file(i).complete = { sha256, headerBytes, at: new Date().toISOString() };
    await this.save();
  }

  /** The packed weights, verified. */
  readPacked(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    return this.#read(nameOf.packed(this.#id), this.record.packed?.pieces ?? []);
  }

  /** Writes packed weights, adding to `pieces`; they count once the record has them. */
  writePacked(pieces: Piece[]): Promise<PieceWriter> {
    return this.#writer(nameOf.packed(this.#id), pieces, async () => {});
  }

  /** Stores the record as it is when the saves before this one are done. */
  save(): Promise<void> {
    const write = () => this.#store.writeText(nameOf.record(this.#id), JSON.stringify(this.record));
    this.#saved = this.#saved.then(write, write);
    return this.#saved;
  }

  /** Forgets the packed weights. */
  async discardPacked(): Promise<void> {
    delete this.record.packed;
    await this.#delete(nameOf.packed(this.#id));
    await this.save();
  }

  /** Forgets file `i`, and the packed weights that it was a part of. */
  async discardFile(i: number): Promise<void> {
    // It saves the record with each piece.
    await this.#close(nameOf.file(this.#id, i));
    this.record.files[i] = { pieces: [] };
    if (this.record.files.every(({ pieces }) => pieces.length === 0)) return this.discard();
    await this.discardPacked();
    await this.#delete(nameOf.file(this.#id, i));
  }

  /** Forgets all. */
  async discard(): Promise<void> {
    await this.close();
    const { urls } = this.record;
    Object.assign(this.record, newRecord(urls));
    delete this.record.packed;
    // The record first: without it the others are nothing.
    await this.#store.delete(nameOf.record(this.#id));
    await this.#delete(nameOf.packed(this.#id));
    for (const i of urls.keys()) await this.#delete(nameOf.file(this.#id, i));
  }

  /** Ends all writing, and lets others open the files. */
  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.#close(name);
  }

  /** Those that are `wanted` of a file's `pieces`; that it is cut is seen wherever it is. */
  async *#read(
    name: string,
    pieces: readonly Piece[],
    wanted = pieces,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (pieces.length === 0) return;
    const file = await this.#opened(name);
    if (file.length < lengthOf(pieces)) throw new Damaged("a stored file is cut");
    yield* readPieces(file, wanted);
  }

  async #writer(
    name: string,
    pieces: Piece[],
    onPiece: () => Promise<void>,
    makeRoom?: () => Promise<boolean>,
  ): Promise<PieceWriter> {
    const file = await this.#opened(name);
    await this.#writers.get(name)?.abandon();
    // A piece may have been written whose record was not.
    await file.truncate(lengthOf(pieces));
    const writer = new PieceWriter(file, pieces, onPiece, makeRoom);
    this.#writers.set(name, writer);
    return writer;
  }

  #file(i: number): ModelRecord["files"][number] {
    return (this.record.files[i] ??= { pieces: [] });
  }

  async #opened(name: string): Promise<StoredFile> {
    const file = this.#open.get(name) ?? (await this.#store.open(name));
    this.#open.set(name, file);
    return file;
  }

  async #close(name: string): Promise<void> {
    await this.#writers.get(name)?.abandon();
    const file = this.#open.get(name);
    this.#open.delete(name);
    // What the record has was flushed before.
    await file?.abandon();
  }

  async #delete(name: string): Promise<void> {
    await this.#close(name);
    await this.#store.delete(name);
  }
}
