/** A worker of the storage tests: does one task, answers, and is terminated with whatever it has open. */

import { PIECE_LENGTH } from "../../js/src/storage/cache-api.js";
import { appendSample, contract, equal, equalsSample, sample } from "../../js/tests/storage-contract.js";
import { isQuotaError } from "../../js/src/storage/storage.js";
import { chosen, openStore, type Kind } from "./stores.js";

function refuse(name: string): Promise<never> {
  return Promise.reject(new DOMException("refused by the test", name));
}

/** What went wrong in `action`, as far as it crosses to the page. */
async function failure(action: () => Promise<unknown>) {
  try {
    await action();
  } catch (error) {
    const { code, message, cause } = error as { code: string; message: string; cause: Error };
    return { code, message, cause: cause.name, quota: isQuotaError(error) };
  }
  return undefined;
}

const MIB = 1024 * 1024;

/** What a worker can be asked to do. */
export const tasks = {
  async step(kind: Kind, test: number, step: number) {
    await contract[test]!.steps[step]!.run(await openStore(kind));
  },

  chosen,

  /** Whether the Cache API has files. */
  hasCache: () => caches.has("tallow"),

  /** What is taken where opening a file fails with an error of that name. */
  async chosenWithHandlesRefused(name: string) {
    Object.assign(FileSystemFileHandle.prototype, { createSyncAccessHandle: () => refuse(name) });
    return chosen();
  },

  /** Has a file open for good. */
  async hold(kind: Kind, name: string) {
    const file = await (await openStore(kind)).open(name);
    await file.append(sample(0, 100));
    await file.flush();
  },

  async openFails(kind: Kind, name: string) {
    const store = await openStore(kind);
    return failure(() => store.open(name));
  },

  /** Appends so much, and flushes. */
  async fill(kind: Kind, mebibytes: number) {
    const store = await openStore(kind);
    const file = await store.open("filled");
    const bytes = sample(0, MIB);
    return failure(async () => {
      for (let i = 0; i < mebibytes; i++) await file.append(bytes);
      await file.flush();
    });
  },

  /** Appends and flushes where the disk says to have taken so much, or, asked for entries, refuses them. */
  async fillFullDisk(kind: Kind, written: number) {
    const store = await openStore(kind);
    const file = await store.open("filled");
    if (kind === "cache-api") Cache.prototype.put = () => refuse("QuotaExceededError");
    else {
      const { FileSystemSyncAccessHandle } = globalThis as unknown as Record<string, { prototype: object }>;
      const write = () => written;
      Object.assign(FileSystemSyncAccessHandle!.prototype, { write });
    }
    return failure(async () => {
      await file.append(sample(0, 1000));
      await file.flush();
    });
  },

  async fillText(kind: Kind, mebibytes: number) {
    const store = await openStore(kind);
    return failure(() => store.writeText("text", "x".repeat(mebibytes * MIB)));
  },

  async readText(kind: Kind) {
    return (await openStore(kind)).readText("text");
  },

  /** Writes texts of many lengths, each its own number again and again. */
  async rewrite(kind: Kind, times: number) {
    const store = await openStore(kind);
    for (let i = 0; i < times; i++) await store.writeText("text", `${i} `.repeat(1 + ((i * 7919) % 5000)));
  },

  /** Opens what killed browsers may leave: an entry without all of its body, a shorter one, one behind a gap. */
  async openTorn() {
    const cache = await caches.open("tallow");
    const put = (index: number, length: number, stored: number) =>
      cache.put(`/tallow-storage/torn/${index}/${length}`, new Response(sample(0, stored)));
    await put(0, 700, 300);
    await put(0, 500, 500);
    await put(0, 200, 200);
    await put(2, 1000, 1000);

    const store = await openStore("cache-api");
    equal("listed", await store.list(), [{ name: "torn", length: 700 }]);
    const file = await store.open("torn");
    equal("entries", (await cache.keys()).length, 1);
    await equalsSample(file, 500);
    await appendSample(file, 2 * PIECE_LENGTH - 500);
    await file.flush();
    await equalsSample(file, 2 * PIECE_LENGTH);
    equal("listed", await store.list(), [{ name: "torn", length: 2 * PIECE_LENGTH }]);
  },

  /** Flushes a last piece that has grown, and is killed before its old entry is deleted. */
  async growPiece() {
    const store = await openStore("cache-api");
    const file = await store.open("grown");
    await appendSample(file, 100);
    await file.flush();
    await appendSample(file, 100);
    Cache.prototype.delete = () => refuse("UnknownError");
    equal("cause", (await failure(() => file.flush()))?.cause, "UnknownError");
    equal("listed", await store.list(), [{ name: "grown", length: 200 }]);
  },

  /** How long the file is, and whether it is sound up to where its record says; then goes on until it is killed. */
  async grow(kind: Kind) {
    const store = await openStore(kind);
    const file = await store.open("grown");
    const record = await store.readText("record.json");
    const found = {
      length: file.length,
      recorded: record ? (JSON.parse(record) as { length: number }).length : 0,
    };
    const into = new Uint8Array(MIB);
    for (let at = 0; at < file.length; at += MIB) {
      const got = into.subarray(0, await file.read(at, into));
      const wrong = sample(at, got.length).findIndex((byte, i) => byte !== got[i]);
      if (wrong !== -1) throw new Error(`the byte at ${at + wrong} is wrong`);
    }
    void (async () => {
      for (let round = 1; ; round++) {
        await file.append(sample(file.length, 150_000 + round));
        await file.flush();
        await store.writeText(
          "record.json",
          JSON.stringify({ length: file.length, padding: "x".repeat(round) }),
        );
        postMessage({ flushed: file.length });
      }
    })();
    return found;
  },
};

export type Tasks = typeof tasks;

addEventListener("message", async ({ data: [task, ...args] }: MessageEvent<[keyof Tasks, ...never[]]>) => {
  try {
    postMessage({ result: await (tasks[task] as (...args: never[]) => Promise<unknown>)(...args) });
  } catch (error) {
    postMessage({
      error: String((error as Error).stack ?? error),
      cause: String((error as Error).cause ?? ""),
    });
  }
});
