import binaryen from "binaryen";
import { expect, onTestFinished, test, vi } from "vitest";
import { fasterRelaxedDot, PROBE } from "../src/relaxed-dot.js";
import dots from "./dots.wat?raw";

test("the probe is that of `dots.wat`", () => {
  const module = binaryen.parseText(dots);
  module.setFeatures(binaryen.Features.All);
  expect(PROBE).toEqual(Uint8Array.from(module.emitBinary()));
});

test("a clock that stands still ends the measuring", () => {
  // As arm64 answers, where only the time tells the forms apart.
  const run = vi.fn(() => 0);
  vi.spyOn(WebAssembly, "Module").mockImplementation(function () {
    return {};
  } as never);
  vi.spyOn(WebAssembly, "Instance").mockImplementation(function () {
    return { exports: { dot: () => 4 * 127 * -1, i16x8: run, i32x4: run } };
  } as never);
  vi.spyOn(performance, "now").mockReturnValue(7);
  onTestFinished(() => void vi.restoreAllMocks());
  expect(fasterRelaxedDot()).toBe("i16x8");
  expect(run).toHaveBeenCalled();
});
