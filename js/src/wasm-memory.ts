/**
 * The limits of the memory that a wasm module imports, read from its bytes: a memory made in JavaScript must have them,
 * and no API tells them. WebAssembly core specification, 5.5 "Modules".
 */

import { TallowError } from "./errors.js";

/** In pages of 64 KiB. */
export interface MemoryLimits {
  initial: number;
  maximum: number;
}

const IMPORT_SECTION = 2;

/** The limits of the shared memory that a module imports. */
export function importedMemory(module: Uint8Array): MemoryLimits {
  const reader = new Reader(module);
  reader.skip(8); // magic number and version
  while (!reader.atEnd) {
    const section = reader.byte();
    const length = reader.u32();
    if (section !== IMPORT_SECTION) {
      reader.skip(length);
      continue;
    }
    for (let left = reader.u32(); left > 0; left--) {
      reader.skip(reader.u32()); // module
      reader.skip(reader.u32()); // name
      const limits = readImport(reader);
      if (limits) return limits;
    }
    break;
  }
  throw malformed("imports no shared memory");
}

/** Reads one import's type; its limits if it is a memory. */
function readImport(reader: Reader): MemoryLimits | undefined {
  const kind = reader.byte();
  switch (kind) {
    case 0: // function: type index
      reader.u32();
      return undefined;
    case 1: // table: element type, limits
      reader.byte();
      readLimits(reader);
      return undefined;
    case 2: {
      const { initial, maximum, shared } = readLimits(reader);
      if (!shared || maximum === undefined) throw malformed("imports a memory that is not shared");
      return { initial, maximum };
    }
    case 3: // global: value type, mutability
      reader.skip(2);
      return undefined;
    case 4: // tag: attribute, type index
      reader.byte();
      reader.u32();
      return undefined;
    default:
      throw malformed(`has an import of kind ${kind}`);
  }
}

function readLimits(reader: Reader): { initial: number; maximum: number | undefined; shared: boolean } {
  const flags = reader.byte();
  const initial = reader.u32();
  return { initial, maximum: flags & 1 ? reader.u32() : undefined, shared: (flags & 2) !== 0 };
}

function malformed(detail: string): TallowError {
  return new TallowError("internal", `the wasm module ${detail}`);
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  skip(length: number): void {
    this.#at += length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw malformed("ends early");
    return byte;
  }

  /** LEB128. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed("has a number of more than 32 bits");
  }
}
