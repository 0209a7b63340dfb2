import { describe, expect, test, vi } from "vitest";
import { nameOf } from "../src/record.js";
import { openCacheApi } from "../src/storage/cache-api.js";
import { FileStore, type Backend } from "../src/storage/storage.js";
import { StoredModel } from "../src/stored-model.js";
import { fakeCaches, type FakeCache } from "./fake-caches.js";
import { sample } from "./storage-contract.js";

const ID = `tallow-${"0".repeat(32)}`;
const VERSION = { etag: '"1"', lastModified: null, length: undefined };
const MIB = 1 << 20;

function open(backend: Backend): Promise<StoredModel> {
  return StoredModel.open(new FileStore(backend), ID, ["https://example.test/a.gguf"]);
}

/** Whoever comes later reads the first `length` bytes of the sample from the file. */
async function expectStored(backend: Backend, length: number): Promise<void> {
  const model = await open(backend);
  const pieces: Uint8Array[] = [];
  for await (const bytes of model.readFile(0)) pieces.push(bytes.slice());
  await model.close();
  // `toEqual` goes over megabytes byte by byte.
  expect(Buffer.concat(pieces).equals(sample(0, length))).toBe(true);
}

describe("without room in the Cache API", () => {
  /** A megabyte of packed weights, and a file whose pieces take their place. */
  async function begin() {
    const cache = fakeCaches();
    const backend = await openCacheApi();
    const model = await open(backend);
    const packed = await model.writePacked([]);
    await packed.write(sample(0, MIB));
    await packed.end();
    const makeRoom = vi.fn(async () => {
      cache.hasRoom = () => true;
      await model.discardPacked();
      return true;
    });
    return { cache, backend, model, packed, makeRoom, file: await model.writeFile(0, VERSION, makeRoom) };
  }

  /** From its `nth` put on a path that has `part`, the cache has no room. */
  function fill(cache: FakeCache, part: string, nth = 1): void {
    cache.hasRoom = (path) => !path.includes(part) || --nth > 0;
  }

  const entries = ({ entries }: FakeCache, name: string) =>
    [...entries.keys()].filter((path) => path.includes(`/${name}/`));

  test.each([
    [3 * MIB, 1],
    [4 * MIB - 1, 1],
    [4 * MIB - 1, 2],
    [4 * MIB, 1],
  ])("a file goes on behind its first %i bytes where put %i is refused", async (first, nth) => {
    const { cache, backend, model, file, makeRoom } = await begin();
    await file.write(sample(0, first));
    await file.end();
    fill(cache, nameOf.file(ID, 0), nth);
    await file.write(sample(first, MIB));
    await file.end();
    expect(makeRoom).toHaveBeenCalledOnce();
    await file.write(sample(first + MIB, MIB));
    await file.end();
    await model.close();
    await expectStored(backend, first + 2 * MIB);
    expect(entries(cache, nameOf.packed(ID))).toEqual([]);
    expect(entries(cache, nameOf.file(ID, 0))).toHaveLength(2);
  });

  test("a file's record takes the place of packed weights as well", async () => {
    const { cache, backend, model, file, makeRoom } = await begin();
    fill(cache, nameOf.record(ID));
    await file.write(sample(0, MIB));
    await file.end();
    expect(makeRoom).toHaveBeenCalledOnce();
    await model.close();
    await expectStored(backend, MIB);
  });

  test("packed weights are discarded, and the file stays", async () => {
    const { cache, backend, model, packed, file } = await begin();
    await file.write(sample(0, MIB));
    await file.end();
    fill(cache, nameOf.packed(ID));
    await packed.write(sample(MIB, MIB));
    await expect(packed.end()).rejects.toMatchObject({ code: "storage_failed" });
    await model.discardPacked();
    expect(entries(cache, nameOf.packed(ID))).toEqual([]);
    await model.close();
    await expectStored(backend, MIB);
  });

  test("a model is discarded to the last entry", async () => {
    const { cache, model, packed, file, makeRoom } = await begin();
    makeRoom.mockImplementation(async () => false);
    await file.write(sample(0, MIB));
    await file.end();
    fill(cache, "");
    for (const writer of [packed, file]) {
      await writer.write(sample(MIB, MIB));
      await expect(writer.end()).rejects.toMatchObject({ code: "storage_failed" });
    }
    await model.discard();
    expect([...cache.entries.keys()]).toEqual([]);
  });
});
