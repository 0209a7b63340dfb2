import { describe, expect, onTestFinished, test, vi } from "vitest";
import { TallowError } from "../src/index.js";
import { openMemory } from "../src/storage/memory.js";
import { openStorage } from "../src/storage/open.js";
import { FileStore, isQuotaError, type Backend } from "../src/storage/storage.js";
import { rejection } from "./fake.js";
import { contract } from "./storage-contract.js";

describe("memory", () => {
  test.each(contract)("$name", async ({ steps }) => {
    const store = new FileStore(openMemory());
    for (const { run } of steps) await run(store);
  });
});

describe("texts", () => {
  /** What a killed browser leaves of the file that was being written: its first `length` bytes. */
  async function cut(backend: Backend, name: string, length: number): Promise<void> {
    await (await backend.open(name)).truncate(length);
  }

  test.each([
    ["second", ["one", "two"], "a_0", "one"],
    ["third", ["one", "two", "three"], "a_1", "two"],
  ])("where the %s is cut off anywhere, the one before is there", async (_, texts, file, before) => {
    const whole = await written(texts);
    const { length } = await whole.open(file);
    expect(length).toBeGreaterThan(8);
    for (let kept = 0; kept < length; kept++) {
      const backend = await written(texts);
      await cut(backend, file, kept);
      const store = new FileStore(backend);
      expect(await store.readText("a")).toBe(before);
      await store.writeText("a", "after");
      expect(await store.readText("a")).toBe("after");
    }
  });

  async function written(texts: string[]): Promise<Backend> {
    const backend = openMemory();
    const store = new FileStore(backend);
    for (const text of texts) await store.writeText("a", text);
    return backend;
  }

  test("a first one that is cut off is none", async () => {
    const backend = await written(["one"]);
    await cut(backend, "a_1", 9);
    const store = new FileStore(backend);
    expect(await store.readText("a")).toBeUndefined();
    expect(await store.list()).toEqual([]);
    await store.writeText("a", "two");
    expect(await store.readText("a")).toBe("two");
  });

  test("none comes back while it is deleted", async () => {
    const backend = await written(["one", "two", "three"]);
    const store = new FileStore(backend);
    const seen: (string | undefined)[] = [];
    const remove = backend.delete.bind(backend);
    vi.spyOn(backend, "delete").mockImplementation(async (name) => {
      await remove(name);
      seen.push(await new FileStore(backend).readText("a"));
    });
    await store.delete("a");
    expect(seen).toEqual(["three", "three", undefined]);
  });
});

describe("errors", () => {
  const quota = new DOMException("full", "QuotaExceededError");

  test("name the file and what was attempted, and keep the browser's error", async () => {
    const backend = openMemory();
    const store = new FileStore(backend);
    const file = await backend.open("a");
    vi.spyOn(file, "append").mockImplementation(() => {
      throw quota;
    });
    const error = await rejection((await store.open("a")).append(new Uint8Array(3)));
    expect(error).toBeInstanceOf(TallowError);
    expect(error).toMatchObject({
      code: "storage_failed",
      message: "`a` could not be written",
      cause: quota,
    });
    expect(isQuotaError(error)).toBe(true);
  });

  test.each([
    [quota, true],
    [new TallowError("storage_failed", "no", { cause: quota }), true],
    [new TallowError("storage_failed", "no", { cause: new DOMException("", "NotFoundError") }), false],
    [new Error("QuotaExceededError"), false],
    ["QuotaExceededError", false],
    [undefined, false],
  ])("%s: the quota is exceeded: %s", (error, expected) => expect(isQuotaError(error)).toBe(expected));
});

describe("openStorage", () => {
  function stub(globals: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    onTestFinished(() => void vi.unstubAllGlobals());
  }
  const refuse = () => Promise.reject(new DOMException("private", "SecurityError"));

  test("takes memory where there is nothing else, and says why", async () => {
    stub({ navigator: {}, caches: undefined });
    const { store, fallback } = await openStorage();
    expect(store.kind).toBe("memory");
    expect(fallback).toMatch(/^the origin private file system .*TypeError.*; the Cache API .*TypeError/);
  });

  test("takes the Cache API where the file system is refused, and says why", async () => {
    stub({ navigator: { storage: { getDirectory: refuse } }, caches: { open: async () => ({}) } });
    const { store, fallback } = await openStorage();
    expect(store.kind).toBe("cache-api");
    expect(fallback).toBe("the origin private file system does not work here: SecurityError: private");
  });

  test("takes the file system where it works, whatever the Cache API does", async () => {
    const file = { createSyncAccessHandle: async () => ({ close: () => {} }) };
    const folder = { getDirectoryHandle: async () => ({ getFileHandle: async () => file }) };
    const storage = { getDirectory: async () => folder };
    stub({ navigator: { storage }, caches: { has: refuse, open: refuse, delete: refuse } });
    const { store, fallback } = await openStorage();
    expect(store.kind).toBe("opfs");
    expect(fallback).toBeUndefined();
  });

  test("takes memory where both are refused", async () => {
    stub({ navigator: { storage: { getDirectory: refuse } }, caches: { open: refuse } });
    expect((await openStorage()).store.kind).toBe("memory");
  });
});
