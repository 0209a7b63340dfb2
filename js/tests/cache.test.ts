import { expect, onTestFinished, test, vi } from "vitest";
import { cache } from "../src/index.js";
import { fakeWorkers, rejection } from "./fake.js";

/** Node has no storage, and neither has the fake worker. */
test("what is stored is asked of a worker, which ends with its answer", async () => {
  const { workers } = fakeWorkers();
  expect(await cache.list()).toEqual([]);
  await cache.delete();
  expect(workers).toMatchObject([{ terminated: true }, { terminated: true }]);
  expect(workers[0]?.url).toMatch(/\/worker\.js$/);
});

test("the worker's script may lie elsewhere", async () => {
  const { workers } = fakeWorkers();
  await cache.list({ workerUrl: "https://example.test/worker.js" });
  await cache.delete(undefined, { workerUrl: new URL("https://example.test/worker.js") });
  expect(workers.map(({ url }) => url)).toEqual(Array(2).fill("https://example.test/worker.js"));
});

const noSource = (got: string) =>
  "`source` should be a URL, a string, a File, a Blob, an ArrayBuffer, a ReadableStream, a FileSystemFileHandle or an " +
  `array of URLs or Blobs, got ${got}`;

test.each([
  [() => cache.delete(new Blob() as never), "only models from URLs are stored"],
  [() => cache.delete(null as never), noSource("null")],
  // Without it, all models would go.
  [() => cache.delete(new Map<string, string>().get("absent") as never), noSource("undefined")],
  [() => cache.delete(undefined as never, undefined), noSource("undefined")],
  [
    () => cache.list({ workerURL: "worker.js" } as never),
    "`workerURL` is not supported in the options of `cache`; what is: `workerUrl`",
  ],
])("%s is refused", async (call, message) => {
  const { workers } = fakeWorkers();
  expect(await rejection(call())).toMatchObject({ code: "invalid_request", message });
  expect(workers).toEqual([]);
});

test("a stream that is no stored model's source is let go of", async () => {
  const cancel = vi.fn();
  expect(await rejection(cache.delete(new ReadableStream({ cancel }) as never))).toMatchObject({
    code: "invalid_request",
  });
  await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1));
});

test("a worker whose script does not load is lost", async () => {
  const { workers } = fakeWorkers();
  const listed = rejection(cache.list());
  await vi.waitFor(() => expect(workers.length).toBe(1));
  workers[0]?.die("");
  expect(await listed).toMatchObject({ code: "worker_lost" });
});

test("room and persistence are the page's to ask for", async () => {
  const { workers } = fakeWorkers();
  onTestFinished(() => void vi.unstubAllGlobals());
  const storage = {
    estimate: async () => ({ usage: 3, quota: 7 }),
    persisted: async () => true,
    persist: async () => true,
  };
  vi.stubGlobal("navigator", { storage });
  expect(await cache.estimate()).toEqual({ usage: 3, quota: 7, persisted: true });
  expect(await cache.persist()).toBe(true);
  vi.stubGlobal("navigator", {});
  expect(await cache.estimate()).toEqual({ usage: 0, quota: 0, persisted: false });
  expect(await cache.persist()).toBe(false);
  expect(workers).toEqual([]);
});
