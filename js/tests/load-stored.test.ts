import { expect, onTestFinished, test, vi } from "vitest";
import { TallowError } from "../src/errors.js";
import { load } from "../src/load.js";
import { idOf, nameOf } from "../src/record.js";
import { openCacheApi } from "../src/storage/cache-api.js";
import { FileStore } from "../src/storage/storage.js";
import { StoredModel } from "../src/stored-model.js";
import type { WasmGlue } from "../src/wasm-contract.js";
import { fakeCaches } from "./fake-caches.js";
import { rejection } from "./fake.js";
import { sample } from "./storage-contract.js";

const URLS = ["https://example.test/a.gguf"];
const MIB = 1 << 20;

test("where the wasm does not start, a stored model's header is read no more once the load has failed", async () => {
  const cache = fakeCaches();
  let isLocked = false;
  const locks = {
    async request(_: string, load: () => Promise<unknown>) {
      isLocked = true;
      return load().finally(() => (isLocked = false));
    },
  };
  vi.stubGlobal("navigator", { locks });
  onTestFinished(() => void vi.unstubAllGlobals());
  const id = await idOf(URLS);
  const open = async () => StoredModel.open(new FileStore(await openCacheApi()), id, URLS);

  // A header in two pieces.
  const stored = await open();
  const file = await stored.writeFile(
    0,
    { etag: null, lastModified: null, length: 5 * MIB },
    async () => false,
  );
  await file.write(sample(0, 5 * MIB));
  await file.end();
  const of = ["5".repeat(64)];
  stored.record.packed = { layout: 1, of, pieces: [] };
  await stored.complete(0, of[0]!, 5 * MIB - 1);
  await stored.close();

  const failure = new TallowError("download_failed", "the wasm module could not be fetched");
  // Between the two.
  const options = new Promise<never>((_, reject) => {
    const match = cache.match.bind(cache);
    cache.match = async (path) => {
      if (path.includes(`/${nameOf.file(id, 0)}/0/`)) {
        reject(failure);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return match(path);
    };
  });
  const request = { source: { urls: URLS, name: "a" }, sha256: undefined, cache: true, options };
  const glue = { layoutVersion: () => 1 } as Partial<WasmGlue> as WasmGlue;
  expect(await rejection(load(glue, request, { progress: () => {}, warning: () => {} }))).toBe(failure);
  expect(isLocked).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await open()).record).toEqual(stored.record);
});
