/**
 * Stored files in pieces, each with its checksum: as far as they go, a file can be trusted, whatever became of the browser
 * that wrote it.
 */

import { checksum } from "./checksum.js";
import { TallowError } from "./errors.js";
import type { StoredFile } from "./storage/storage.js";

/** So many bytes of a file, behind the piece before. */
export interface Piece {
  length: number;
  checksum: string;
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

/** Writes a file piece by piece. */
export class PieceWriter {
  readonly #file: StoredFile;
  readonly #pieces: Piece[];
  readonly #onPiece: () => Promise<void>;
  readonly #makeRoom: () => Promise<boolean>;
  readonly #buffer = new Uint8Array(PIECE_BYTES);
  #length = 0;
  /** Ends a piece that nothing more comes to. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What was asked for before. Once that has failed, so does all that comes after. */
  #last: Promise<void> = Promise.resolve();

  /**
   * Goes on behind `pieces`, which it adds to; `onPiece` is called when one more is stored, `makeRoom` when one cannot be:
   * whether it may be tried again.
   */
  constructor(
    file: StoredFile,
    pieces: Piece[],
    onPiece: () => Promise<void>,
    makeRoom = async (): Promise<boolean> => false,
  ) {
    this.#file = file;
    this.#pieces = pieces;
    this.#onPiece = onPiece;
    this.#makeRoom = makeRoom;
  }

  /** Takes the next bytes, which may lie in shared memory. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#next(() => this.#write(bytes));
  }

  /** Ends the piece that was begun. */
  end(): Promise<void> {
    return this.#next(() => this.#end());
  }

  /** Drops the piece that was begun. Once this has resolved nothing is written any more; what is asked for fails. */
  async abandon(): Promise<void> {
    const last = this.#last;
    const refused = new TallowError("storage_failed", "what was written has been discarded");
    this.#last = Promise.reject(refused);
    this.#last.catch(() => {});
    await last.catch(() => {});
    clearTimeout(this.#timer);
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
    await this.#inRoom(() => this.#append(bytes));
    this.#pieces.push({ length: bytes.length, checksum: checksum(bytes) });
    this.#length = 0;
    await this.#inRoom(this.#onPiece);
  }

  /** Runs `action`, and once more where it failed and room could be made. */
  async #inRoom(action: () => Promise<void>): Promise<void> {
    await action().catch(async (error: unknown) => {
      if (!(await this.#makeRoom())) throw error;
      await action();
    });
  }

  async #append(bytes: Uint8Array): Promise<void> {
    // An attempt that failed may have left a part.
    await this.#file.truncate(lengthOf(this.#pieces));
    await this.#file.append(bytes);
    await this.#file.flush();
  }
}

/**
 * The pieces of a file, each in a buffer that the next overwrites, and only once its checksum was found right.
 *
 * @throws {@link Damaged}
 */
export async function* readPieces(
  file: StoredFile,
  pieces: readonly Piece[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(Math.max(0, ...pieces.map(({ length }) => length)));
  let at = 0;
  for (const piece of pieces) {
    const bytes = buffer.subarray(0, piece.length);
    if ((await file.read(at, bytes)) < piece.length) throw new Damaged("a stored file is cut");
    if (checksum(bytes) !== piece.checksum) throw new Damaged("a stored file is not what was written");
    at += piece.length;
    yield bytes;
  }
}
