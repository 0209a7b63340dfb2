/**
 * Files in the Cache API, in the cache `tallow`. Its entries cannot be changed, so a file is a row of pieces, each an
 * entry `/tallow-storage/NAME/INDEX/LENGTH`; all but the last have {@link PIECE_LENGTH} bytes. A last piece that has
 * grown is put under its new length before its old entry goes, so that the longest of an index counts, and a file's
 * length follows from its entries alone.
 */

import type { Backend, BackendFile, ListedFile } from "./storage.js";

/** Bytes of every piece but the last, and what a file takes of memory while it is open. */
export const PIECE_LENGTH = 4 * 1024 * 1024;

const CACHE = "tallow";
const PIECE_PATH = /^\/tallow-storage\/([^/]+)\/(\d+)\/(\d+)$/;

/** The backend, or why there is none here. */
export async function openCacheApi(): Promise<Backend> {
  return new CacheApi(await caches.open(CACHE));
}

/** Deletes all files in the Cache API, if there are any. */
export async function deleteCacheApiFiles(): Promise<void> {
  if (await globalThis.caches?.has(CACHE).catch(() => false)) await caches.delete(CACHE);
}

/** What an entry's URL tells of it. */
interface Piece {
  name: string;
  index: number;
  length: number;
}

function pieceUrl({ name, index, length }: Piece): string {
  return `/tallow-storage/${name}/${index}/${length}`;
}

class CacheApi implements Backend {
  readonly kind = "cache-api";
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  async open(name: string): Promise<BackendFile> {
    const pieces = await this.#pieces(name);
    let sound = pieces;
    let row = rowOf(pieces);
    // A killed browser may leave an entry without all of its body; only the last put can be one.
    for (let last = row.at(-1); last && (await this.#body(last)).size !== last.length; last = row.at(-1)) {
      sound = sound.filter((piece) => piece !== last);
      row = rowOf(sound);
    }
    for (const piece of pieces) if (!row.includes(piece)) await this.#cache.delete(pieceUrl(piece));
    if (row.length === 0) await this.#cache.put(pieceUrl({ name, index: 0, length: 0 }), new Response());
    return new CacheFile(this.#cache, name, lengthOf(row));
  }

  async contents(name: string): Promise<Uint8Array | undefined> {
    const row = rowOf(await this.#pieces(name));
    if (row.length === 0) return undefined;
    const bodies = await Promise.all(row.map((piece) => this.#body(piece)));
    return new Uint8Array(await new Blob(bodies).arrayBuffer());
  }

  async list(): Promise<ListedFile[]> {
    const pieces = await this.#pieces();
    const names = new Set(pieces.map(({ name }) => name));
    return Array.from(names, (name) => ({
      name,
      length: lengthOf(rowOf(pieces.filter((piece) => piece.name === name))),
    }));
  }

  async delete(name: string): Promise<void> {
    // From the end, so that what is left is a beginning.
    const pieces = (await this.#pieces(name)).sort((a, b) => b.index - a.index);
    for (const piece of pieces) await this.#cache.delete(pieceUrl(piece));
  }

  /** The entries of one file, or of all. */
  async #pieces(of?: string): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (const { url } of await this.#cache.keys()) {
      const [, name = "", index, length] = PIECE_PATH.exec(new URL(url).pathname) ?? [];
      if (name && (of === undefined || name === of))
        pieces.push({ name, index: Number(index), length: Number(length) });
    }
    return pieces;
  }

  /** The body of an entry, empty where it has just gone. */
  async #body(piece: Piece): Promise<Blob> {
    return (await this.#cache.match(pieceUrl(piece)))?.blob() ?? new Blob();
  }
}

/** A file's pieces in order: the longest of each index, up to the first that is not full. */
function rowOf(pieces: Piece[]): Piece[] {
  const longest: (Piece | undefined)[] = [];
  for (const piece of pieces) {
    if (piece.length >= (longest[piece.index]?.length ?? 0)) longest[piece.index] = piece;
  }
  const row: Piece[] = [];
  for (const piece of longest) {
    if (!piece) break;
    row.push(piece);
    if (piece.length < PIECE_LENGTH) break;
  }
  return row;
}

function lengthOf(row: Piece[]): number {
  return row.reduce((total, { length }) => total + length, 0);
}

/** An open file, with the one piece in memory that was last read or appended to. */
class CacheFile implements BackendFile {
  readonly #cache: Cache;
  readonly #name: string;
  readonly #buffer = new Uint8Array(PIECE_LENGTH);
  /** The piece in the buffer, the length of its entry, and whether the buffer has other bytes than that. */
  #held = -1;
  #stored = 0;
  #changed = false;
  length: number;

  constructor(cache: Cache, name: string, length: number) {
    this.#cache = cache;
    this.#name = name;
    this.length = length;
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    const end = Math.min(at + into.length, this.length);
    let position = at;
    while (position < end) {
      await this.#hold(Math.floor(position / PIECE_LENGTH));
      const start = position % PIECE_LENGTH;
      const part = this.#buffer.subarray(start, start + end - position);
      into.set(part, position - at);
      position += part.length;
    }
    return position - at;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      await this.#hold(Math.floor(this.length / PIECE_LENGTH));
      const start = this.length % PIECE_LENGTH;
      const part = rest.subarray(0, PIECE_LENGTH - start);
      this.#buffer.set(part, start);
      this.#changed = true;
      this.length += part.length;
      rest = rest.subarray(part.length);
    }
  }

  async truncate(length: number): Promise<void> {
    const count = this.#pieceCount();
    const kept = Math.ceil(length / PIECE_LENGTH);
    const partial = length % PIECE_LENGTH;
    const [held, stored] = [this.#held, this.#stored];
    // What goes is not put before: it may be what there was no room for.
    if (held >= kept) this.#release();
    if (partial > 0) await this.#hold(kept - 1);
    else await this.flush();
    for (let index = count - 1; index >= kept; index--)
      await this.#cache.delete(this.#url(index, index === held ? stored : this.#lengthOf(index)));
    this.length = length;
    if (length === 0) await this.#cache.put(this.#url(0, 0), new Response());
    this.#changed = partial > 0 && this.#stored !== partial;
    await this.flush();
  }

  async flush(): Promise<void> {
    if (!this.#changed) return;
    const length = this.#lengthOf(this.#held);
    await this.#cache.put(this.#url(this.#held, length), new Response(this.#buffer.slice(0, length)));
    if (this.#stored !== length) await this.#cache.delete(this.#url(this.#held, this.#stored));
    this.#stored = length;
    this.#changed = false;
  }

  close(): Promise<void> {
    return this.flush();
  }

  abandon(): void {
    this.#release();
  }

  /** Brings a piece into the buffer, and first puts the one that was there. */
  async #hold(index: number): Promise<void> {
    if (index === this.#held) return;
    await this.flush();
    this.#release();
    const length = this.#lengthOf(index);
    if (length > 0) {
      const response = await this.#cache.match(this.#url(index, length));
      const body = new Uint8Array((await response?.arrayBuffer()) ?? []);
      if (body.length !== length)
        throw new DOMException(`piece ${index} has ${body.length} of ${length} bytes`, "NotReadableError");
      this.#buffer.set(body);
    }
    this.#stored = length;
    this.#held = index;
  }

  /** Forgets the piece in the buffer. */
  #release(): void {
    this.#held = -1;
    this.#changed = false;
  }

  #url(index: number, length: number): string {
    return pieceUrl({ name: this.#name, index, length });
  }

  #lengthOf(index: number): number {
    return Math.max(0, Math.min(PIECE_LENGTH, this.length - index * PIECE_LENGTH));
  }

  #pieceCount(): number {
    return Math.ceil(this.length / PIECE_LENGTH);
  }
}
