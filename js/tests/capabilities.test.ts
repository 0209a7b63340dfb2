import { expect, onTestFinished, test, vi } from "vitest";
import { capabilities, loadModel } from "../src/index.js";

// Node 20 has no relaxed SIMD to measure.
vi.mock("../src/relaxed-dot.js", () => ({ fasterRelaxedDot: () => "i32x4" }));

/** Lets the browser know SIMD, relaxed SIMD and atomics, or not; told apart by the instruction a probe holds. */
function browser(known: { simd128: boolean; relaxedSimd: boolean; atomics: boolean }): void {
  vi.spyOn(WebAssembly, "validate").mockImplementation((source) => {
    const probe = Array.from(new Uint8Array(source as ArrayBuffer)).join(",");
    if (probe.includes("253,147,2")) return known.relaxedSimd;
    return probe.includes("254,16") ? known.atomics : known.simd128;
  });
  onTestFinished(() => void vi.restoreAllMocks());
}

test.each([
  [{ simd128: true, relaxedSimd: true, atomics: true }, "relaxed"],
  [{ simd128: true, relaxedSimd: false, atomics: true }, "simd128"],
  [{ simd128: true, relaxedSimd: true, atomics: false }, null],
  [{ simd128: false, relaxedSimd: false, atomics: true }, null],
])("%j takes the module %s", (known, module) => {
  browser(known);
  expect(capabilities()).toMatchObject({ ...known, module, relaxedDot: known.relaxedSimd ? "i32x4" : null });
});

test("a page whose policy forbids WebAssembly can run nothing, and may say so", async () => {
  browser({ simd128: true, relaxedSimd: true, atomics: true });
  vi.spyOn(WebAssembly, "Module").mockImplementation(function () {
    throw new WebAssembly.CompileError("blocked by the policy");
  });
  expect(capabilities()).toMatchObject({ module: null, simd128: true, relaxedDot: null });
  await expect(loadModel(new Blob())).rejects.toMatchObject({
    code: "unsupported_browser",
    message: expect.stringContaining("'wasm-unsafe-eval'") as string,
  });
});

test("the probes of what every engine has are well formed", () => {
  expect(capabilities()).toMatchObject({ simd128: true, atomics: true, crossOriginIsolated: false });
  expect(capabilities().hardwareConcurrency).toBeGreaterThanOrEqual(1);
});

test("a browser without WebAssembly can run nothing", () => {
  vi.stubGlobal("WebAssembly", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(capabilities()).toMatchObject({ module: null, simd128: false, relaxedSimd: false, atomics: false });
});
