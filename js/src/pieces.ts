/**
 * Stored files in pieces, each with its SHA-256: as far as they go, a file can be trusted, whatever became of the browser
 * that wrote it.
 */

import type { StoredFile } from "./storage/storage.js";

/** So many bytes of a file, behind the piece before. */
export interface Piece {
  length: number;
  /** In lower-case hexadecimal. */
  sha256: string;
}

/** A stored file is not what was written. */
export class Damaged extends Error {}

const PIECE_BYTES = 4 << 20;
/** A piece is ended early after so many milliseconds, so that slow downloads lose no more. */
const PIECE_TIME = 2000;

/** Bytes that pieces have together. */
export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** SHA-256 in lower-case hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Writes a file piece by piece. */
export class PieceWriter {
  readonly #file: StoredFile;
  readonly #pieces: Piece[];
  readonly #onPiece: () => Promise<void>;
  readonly #buffer = new Uint8Array(PIECE_BYTES);
  #length = 0;
  /** Ends a piece that nothing more comes to. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What was asked for before. Once that has failed, so does all that comes after. */
  #last: Promise<void> = Promise.resolve();

  /** Goes on behind `pieces`, which it adds to; `onPiece` is called when one more is stored. */
  constructor(file: StoredFile, pieces: Piece[], onPiece: () => Promise<void>) {
    this.#file = file;
    this.#pieces = pieces;
    this.#onPiece = onPiece;
  }

  /** Takes the next bytes, which may lie in shared memory. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#next(() => this.#write(bytes));
  }

  /** Ends the piece that was begun. */
  end(): Promise<void> {
    return this.#next(() => this.#end());
  }

  #next(action: () => Promise<void>): Promise<void> {
    return (this.#last = this.#last.then(action));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#timer ??= setTimeout(() => this.end().catch(() => {}), PIECE_TIME);
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#length);
      this.#buffer.set(part, this.#length);
      this.#length += part.length;
      at += part.length;
      if (this.#length === PIECE_BYTES) await this.#end();
    }
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#length === 0) return;
    const bytes = this.#buffer.subarray(0, this.#length);
    const digest = sha256(bytes);
    await this.#file.append(bytes);
    await this.#file.flush();
    this.#pieces.push({ length: bytes.length, sha256: await digest });
    this.#length = 0;
    await this.#onPiece();
  }
}

/**
 * The pieces of a file, each in a buffer that the one after the next overwrites, and only once its digest was found right.
 * While the caller works, the next digest is made.
 *
 * @throws {@link Damaged}
 */
export async function* readPieces(
  file: StoredFile,
  pieces: readonly Piece[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const longest = Math.max(0, ...pieces.map(({ length }) => length));
  const buffers = [new Uint8Array(longest), new Uint8Array(longest)] as const;
  let ahead: Reading | undefined;
  let at = 0;
  for (const [i, piece] of pieces.entries()) {
    const bytes = buffers[(i % 2) as 0 | 1].subarray(0, piece.length);
    if ((await file.read(at, bytes)) < piece.length) throw new Damaged("a stored file is cut");
    at += piece.length;
    const reading = { bytes, intact: sha256(bytes).then((digest) => digest === piece.sha256) };
    if (ahead) yield await verified(ahead);
    ahead = reading;
  }
  if (ahead) yield await verified(ahead);
}

interface Reading {
  bytes: Uint8Array<ArrayBuffer>;
  intact: Promise<boolean>;
}

async function verified({ bytes, intact }: Reading): Promise<Uint8Array<ArrayBuffer>> {
  if (!(await intact)) throw new Damaged("a stored file is not what was written");
  return bytes;
}
