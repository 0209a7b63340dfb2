import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Piece } from "../src/pieces.js";
import { nameOf } from "../src/record.js";
import { openCacheApi } from "../src/storage/cache-api.js";
import { openMemory } from "../src/storage/memory.js";
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

test("of two saves at once the second comes after the first", async () => {
  const backend = openMemory();
  const model = await open(backend);
  await Promise.all([model.save(), model.complete(0, "5".repeat(64), 7)]);
  const { record } = await open(backend);
  expect(record.files).toEqual([
    { pieces: [], complete: { sha256: "5".repeat(64), headerBytes: 7, at: expect.any(String) } },
  ]);
});

test("a save that fails keeps none from the next", async () => {
  const cache = fakeCaches();
  const backend = await openCacheApi();
  const model = await open(backend);
  cache.hasRoom = () => false;
  await expect(model.save()).rejects.toMatchObject({ code: "storage_failed" });
  cache.hasRoom = () => true;
  await model.complete(0, "5".repeat(64), 7);
  expect((await open(backend)).record).toEqual(model.record);
});

describe("what was begun is written no more", () => {
  test.each<[string, (model: StoredModel) => Promise<void>, string[]]>([
    ["a model is discarded", (model) => model.discard(), []],
    ["a file is discarded", (model) => model.discardFile(0), []],
    ["a model is closed", (model) => model.close(), [nameOf.file(ID, 0), nameOf.packed(ID)]],
  ])("once %s", async (_, end, empty) => {
    const cache = fakeCaches();
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const model = await open(await openCacheApi());
    const pieces: Piece[] = [];
    const writers = [await model.writePacked(pieces), await model.writeFile(0, VERSION, async () => false)];
    for (const writer of writers) await writer.write(sample(0, 1000));
    await end(model);
    await vi.runAllTimersAsync();
    for (const writer of writers)
      await expect(writer.write(sample(0, 1000))).rejects.toMatchObject({ code: "storage_failed" });
    await vi.runAllTimersAsync();
    expect([...cache.entries.keys()].sort()).toEqual(empty.map((name) => `/tallow-storage/${name}/0/0`));
    expect(pieces).toEqual([]);
  });

  test("nor does a piece on its way bring a record back", async () => {
    const backend = openMemory();
    const model = await open(backend);
    const file = await model.writeFile(0, VERSION, async () => false);
    await file.write(sample(0, 1000));
    const ending = file.end();
    await model.discard();
    await ending;
    expect(await backend.list()).toEqual([]);
  });

  test("once a file is written anew", async () => {
    const backend = openMemory();
    const model = await open(backend);
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const first = await model.writeFile(0, VERSION, async () => false);
    await first.write(sample(0, 1000));
    const second = await model.writeFile(0, VERSION, async () => false);
    await vi.runAllTimersAsync();
    await second.write(sample(0, 3000));
    await second.end();
    await model.close();
    await expectStored(backend, 3000);
  });
});
