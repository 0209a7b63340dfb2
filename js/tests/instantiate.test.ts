import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { startWasm } from "../src/instantiate.js";
import type { WasmGlue } from "../src/wasm-contract.js";
import { importedMemory } from "../src/wasm-memory.js";
import { rejection } from "./fake.js";

const URL_OF_WASM = "https://example.test/simd128.wasm";

/**
 * A module that imports a function, a table, a global and then a memory, as wasm-bindgen's do:
 *
 * (module (type (func))
 *   (import "a" "f" (func (type 0))) (import "a" "t" (table 1 2 funcref)) (import "a" "g" (global (mut i32)))
 *   (import "a" "m" (memory <limits>)))
 */
function wasmModule(...limits: number[]): Uint8Array<ArrayBuffer> {
  const imports = [
    [1, 97, 1, 102, 0, 0],
    [1, 97, 1, 116, 1, 0x70, 1, 1, 2],
    [1, 97, 1, 103, 3, 0x7f, 1],
    [1, 97, 1, 109, 2, ...limits],
  ].flat();
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 4, 1, 0x60, 0, 0],
    ...[2, imports.length + 1, 4, ...imports],
  ]);
}

/** Shared, 130 to 65536 pages. */
const SHARED = [3, 0x82, 0x01, 0x80, 0x80, 0x04];

describe("importedMemory", () => {
  test("reads the limits behind other imports", () => {
    expect(WebAssembly.validate(wasmModule(...SHARED))).toBe(true);
    expect(importedMemory(wasmModule(...SHARED))).toEqual({ initial: 130, maximum: 65536 });
  });

  test.each([
    ["imports no shared memory", wasmModule(...SHARED).subarray(0, 14)],
    ["imports a memory that is not shared", wasmModule(1, 1, 2)],
    ["imports a memory that is not shared", wasmModule(0, 1)],
    ["has an import of kind 9", Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2, 6, 1, 1, 97, 1, 97, 9)],
    ["has a number of more than 32 bits", wasmModule(3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ["ends early", wasmModule(...SHARED).subarray(0, -1)],
  ])("a module that %s is refused", (detail, module) => {
    expect(() => importedMemory(module)).toThrowError(
      expect.objectContaining({ code: "internal", message: `the wasm module ${detail}` }) as Error,
    );
  });
});

describe("startWasm", () => {
  const init = vi.fn<WasmGlue["default"]>(async () => {});
  const glue = { default: init } as Partial<WasmGlue> as WasmGlue;

  beforeEach(() => {
    init.mockClear();
    onTestFinished(() => {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    });
  });

  function answer(body: Uint8Array<ArrayBuffer>, type: string): void {
    vi.stubGlobal("fetch", async () => new Response(body, { headers: { "content-type": type } }));
  }

  test.each(["application/wasm", "application/octet-stream"])(
    "hands over module and memory, served as %s",
    async (type) => {
      answer(wasmModule(...SHARED), type);
      const streaming = vi.spyOn(WebAssembly, "compileStreaming");
      const shared = await startWasm(glue, URL_OF_WASM);
      const { module_or_path: module, memory } = init.mock.lastCall?.[0] ?? {};
      expect(shared).toEqual({ module, memory, memoryLimit: 4 * 2 ** 30 });
      expect(WebAssembly.Module.imports(module as WebAssembly.Module)).toMatchObject([
        {},
        {},
        {},
        { kind: "memory" },
      ]);
      expect(memory?.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(memory?.buffer.byteLength).toBe(130 * 65536);
      expect(streaming).toHaveBeenCalledTimes(type === "application/wasm" ? 1 : 0);
    },
  );

  test.each([
    [65536, [65536]],
    [16384, [65536, 32768, 16384]],
  ])("where the engine allows %i pages, it asks for %j", async (allowed, asked) => {
    answer(wasmModule(...SHARED), "application/wasm");
    const maxima = limitMemory(allowed);
    await startWasm(glue, URL_OF_WASM);
    expect(maxima).toEqual(asked);
    expect(init).toHaveBeenCalledTimes(1);
  });

  test("asks for no more than the module does", async () => {
    answer(wasmModule(3, 1, 0x80, 0x02), "application/wasm");
    const maxima = limitMemory(65536);
    await startWasm(glue, URL_OF_WASM);
    expect(maxima).toEqual([256]);
  });

  test("of an address with the module in it only the beginning is told", async () => {
    const inside = `data:application/wasm;base64,${"A".repeat(1000)}`;
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    onTestFinished(() => void vi.unstubAllGlobals());
    expect(await rejection(startWasm(glue, inside))).toMatchObject({
      message: expect.stringMatching(
        /^the wasm module `data:application\/wasm;base64,A{1,200}…` could not be fetched$/,
      ),
    });
  });

  test("an engine that refuses 1 GiB is out of memory", async () => {
    answer(wasmModule(...SHARED), "application/wasm");
    limitMemory(100);
    expect(await rejection(startWasm(glue, URL_OF_WASM))).toMatchObject({
      code: "out_of_memory",
      message: "the browser refused a memory of 1 GiB",
      cause: new RangeError("could not allocate memory"),
    });
  });

  test.each([
    ["was answered with status 404", async () => new Response(null, { status: 404 })],
    ["could not be fetched", () => Promise.reject(new TypeError("Failed to fetch"))],
    ["could not be compiled", async () => breakingOff("application/wasm")],
    ["could not be compiled", async () => breakingOff("application/octet-stream")],
    [
      "could not be compiled",
      async () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }),
    ],
  ])("a module that %s", async (detail, fetch) => {
    vi.stubGlobal("fetch", fetch);
    expect(await rejection(startWasm(glue, URL_OF_WASM))).toMatchObject({
      code: "download_failed",
      message: `the wasm module \`${URL_OF_WASM}\` ${detail}`,
    });
  });

  /** An answer whose body ends too early. */
  function breakingOff(type: string): Response {
    let begun = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (begun) controller.error(new TypeError("terminated"));
        else controller.enqueue(wasmModule(...SHARED).subarray(0, 10));
        begun = true;
      },
    });
    return new Response(body, { headers: { "content-type": type } });
  }

  /** Refuses memories whose maximum is over `allowed`; the maxima that were asked for. */
  function limitMemory(allowed: number): number[] {
    const { Memory } = WebAssembly;
    const maxima: number[] = [];
    vi.spyOn(WebAssembly, "Memory").mockImplementation(function (limits) {
      maxima.push(limits.maximum ?? Infinity);
      if (maxima.at(-1)! > allowed) throw new RangeError("could not allocate memory");
      return new Memory(limits);
    });
    return maxima;
  }
});
