/** Splits GGUF files as llama.cpp's `gguf-split` does: the first part has all metadata, the others only which part they are. */

const ALIGNMENT = 32;
const STRING = 8;
const ARRAY = 9;
/** Bytes of the value types that have a fixed length, by their numbers. */
const WIDTHS: Record<number, number> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

interface Tensor {
  /** Name, shape and type, as they stand in the directory. */
  info: Buffer;
  data: Buffer;
}

interface Gguf {
  pairs: Buffer;
  nPairs: number;
  tensors: Tensor[];
}

/** `file` in `count` parts, each with about as many tensors. */
export function splitGguf(file: Buffer, count: number): Buffer[] {
  const { pairs, nPairs, tensors } = read(file);
  const perPart = Math.ceil(tensors.length / count);
  return Array.from({ length: count }, (_, no) => {
    const place = Buffer.concat([
      pair("split.no", 2, u16(no)),
      pair("split.count", 2, u16(count)),
      pair("split.tensors.count", 5, u32(tensors.length)),
    ]);
    const first = no === 0;
    return write({
      pairs: first ? Buffer.concat([pairs, place]) : place,
      nPairs: first ? nPairs + 3 : 3,
      tensors: tensors.slice(no * perPart, (no + 1) * perPart),
    });
  });
}

function read(file: Buffer): Gguf {
  let at = 8;
  const take = (length: number) => file.subarray(at, (at += length));
  const count = () => Number(take(8).readBigUInt64LE());
  const passString = () => take(count());
  const pass = (type: number): void => {
    if (type === STRING) passString();
    else if (type === ARRAY) {
      const of = take(4).readUInt32LE();
      for (let left = count(); left > 0; left--) pass(of);
    } else take(WIDTHS[type] ?? NaN);
  };
  const [nTensors, nPairs] = [count(), count()];
  const pairsAt = at;
  for (let left = nPairs; left > 0; left--) {
    passString();
    pass(take(4).readUInt32LE());
  }
  const pairs = file.subarray(pairsAt, at);
  const infos = Array.from({ length: nTensors }, () => {
    const from = at;
    passString();
    take(8 * take(4).readUInt32LE() + 4);
    return { info: file.subarray(from, at), offset: count() };
  });
  const dataAt = aligned(at);
  // Writers leave tensors in the order of their offsets.
  const ends = [...infos.slice(1).map(({ offset }) => offset), file.length - dataAt];
  const tensors = infos.map(({ info, offset }, i) => ({
    info,
    data: file.subarray(dataAt + offset, dataAt + (ends[i] ?? 0)),
  }));
  return { pairs, nPairs, tensors };
}

function write({ pairs, nPairs, tensors }: Gguf): Buffer {
  let offset = 0;
  const directory = tensors.map(({ info, data }) => {
    const entry = Buffer.concat([info, u64(offset)]);
    offset += aligned(data.length);
    return entry;
  });
  const header = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(nPairs), pairs, ...directory];
  return Buffer.concat([padded(Buffer.concat(header)), ...tensors.map(({ data }) => padded(data))]);
}

function pair(key: string, type: number, value: Buffer): Buffer {
  return Buffer.concat([u64(key.length), Buffer.from(key), u32(type), value]);
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
