/** The page of the storage tests, which the tests drive through the functions that it leaves in its global scope. */

import { contract } from "../../js/tests/storage-contract.js";
import { openStore, type Kind } from "./stores.js";
import type { Tasks } from "./worker.js";

/** What a worker sends. */
type FromWorker = { result: unknown } | { error: string; cause: string } | { flushed: number };

function openWorker<T extends keyof Tasks>(task: T, args: Parameters<Tasks[T]>) {
  const worker = new Worker("/worker.js", { type: "module" });
  const answer = new Promise<unknown>((resolve, reject) => {
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if ("flushed" in data) page.flushed = data.flushed;
      else if ("error" in data) reject(new Error(`${data.error} ${data.cause}`));
      else resolve(data.result);
    });
    worker.addEventListener("error", ({ message }) => reject(new Error(message)));
  });
  worker.postMessage([task, ...args]);
  return { worker, answer };
}

const page = {
  /** How much of the file `grown` is flushed. */
  flushed: 0,

  async clear(kind: Kind) {
    const store = await openStore(kind);
    for (const { name } of await store.list()) await store.delete(name);
  },

  /** One test of the contract. */
  async contract(kind: Kind, test: number) {
    await page.clear(kind);
    for (const [i, { where, run }] of contract[test]!.steps.entries()) {
      if (where === "page") await run(await openStore(kind));
      else await page.inWorker("step", kind, test, i);
    }
  },

  /** A worker does `task` and is terminated. */
  async inWorker<T extends keyof Tasks>(task: T, ...args: Parameters<Tasks[T]>) {
    const { worker, answer } = openWorker(task, args);
    return answer.finally(() => worker.terminate());
  },

  /** A worker does `task` and lives for `milliseconds` more, or for good. */
  async inLastingWorker<T extends keyof Tasks>(
    milliseconds: number | null,
    task: T,
    ...args: Parameters<Tasks[T]>
  ) {
    const { worker, answer } = openWorker(task, args);
    const result = await answer;
    if (milliseconds !== null) setTimeout(() => worker.terminate(), milliseconds);
    return result;
  },

  /** The lengths of the texts that are read while a worker replaces the text; throws at one that is not whole. */
  async readWhileRewritten(kind: Kind, times: number) {
    await page.clear(kind);
    const store = await openStore(kind);
    await page.inWorker("rewrite", kind, 1);
    let done = false;
    const writer = page.inWorker("rewrite", kind, times).finally(() => (done = true));
    const lengths = new Set<number>();
    while (!done) {
      const text = await store.readText("text");
      if (text === undefined) throw new Error("the text is gone");
      const [number = ""] = text.split(" ", 1);
      if (text !== `${number} `.repeat(1 + ((Number(number) * 7919) % 5000)))
        throw new Error(`the text is not whole: ${text.slice(0, 100)}`);
      lengths.add(text.length);
    }
    await writer;
    return [...lengths];
  },
};

export type Page = typeof page;

Object.assign(globalThis, { storageTests: page });
