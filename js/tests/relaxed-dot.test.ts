import binaryen from "binaryen";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { PROBE } from "../src/relaxed-dot.js";
import dots from "./dots.wat?raw";

test("the probe is that of `dots.wat`", () => {
  const module = binaryen.parseText(dots);
  module.setFeatures(binaryen.Features.All);
  expect(PROBE).toEqual(Uint8Array.from(module.emitBinary()));
});

/** The form that is chosen, by a copy of the module that has not chosen yet. */
async function chosen(): Promise<string> {
  vi.resetModules();
  const { fasterRelaxedDot } = await import("../src/relaxed-dot.js");
  return fasterRelaxedDot();
}

/**
 * A machine whose 32-bit form makes `product` of four times 127 and 255, and whose forms take so many milliseconds for a
 * thousand turns; what was run.
 */
function machine(product: number, milliseconds = { i16x8: 0.01, i32x4: 0.01 }) {
  let now = 7;
  const run = (form: "i16x8" | "i32x4") =>
    vi.fn((turns: number) => {
      now += (turns / 1000) * milliseconds[form];
      return 0;
    });
  const probe = { dot: vi.fn(() => product), i16x8: run("i16x8"), i32x4: run("i32x4") };
  vi.spyOn(WebAssembly, "Module").mockImplementation(function () {
    return {};
  } as never);
  vi.spyOn(WebAssembly, "Instance").mockImplementation(function () {
    return { exports: probe };
  } as never);
  vi.spyOn(performance, "now").mockImplementation(() => now);
  onTestFinished(() => void vi.restoreAllMocks());
  return probe;
}

describe("what the 32-bit form makes of 8 bits tells", () => {
  // Each sum of two saturates, is whole, is no machine's.
  test.each([
    [65_534, "x64 without VNNI", "i16x8"],
    [129_540, "x64 with VNNI", "i32x4"],
    [259_080, "V8 11.3", "i16x8"],
  ])("%i: %s takes %s", async (product, _, form) => {
    // By their times it would be the other one.
    const slow = { i16x8: 0.01, i32x4: 0.01, [form]: 0.1 };
    const probe = machine(product, slow);
    expect(await chosen()).toBe(form);
    expect(probe.dot.mock.calls).toEqual([[127, 255]]);
    expect(probe.i16x8).not.toHaveBeenCalled();
    expect(probe.i32x4).not.toHaveBeenCalled();
  });
});

describe("where it says nothing, as on arm64, the faster one is taken", () => {
  const SIGNED = -508;

  test.each([
    ["i32x4", { i16x8: 0.011, i32x4: 0.01 }],
    ["i16x8", { i16x8: 0.01, i32x4: 0.011 }],
    ["i16x8", { i16x8: 0.01, i32x4: 0.01 }],
    ["i32x4", { i16x8: 0.03, i32x4: 0.01 }],
  ])("%s with %j milliseconds", async (form, milliseconds) => {
    const probe = machine(SIGNED, milliseconds);
    expect(await chosen()).toBe(form);
    for (const run of [probe.i16x8, probe.i32x4]) expect(run).toHaveBeenCalled();
  });

  test.each([10, 60])("another program that takes the core at call %i does not decide", async (call) => {
    const probe = machine(SIGNED, { i16x8: 0.011, i32x4: 0.01 });
    const run = probe.i32x4.getMockImplementation();
    // A call is a thousand turns; a round is some fifty calls.
    probe.i32x4.mockImplementation((turns) =>
      probe.i32x4.mock.calls.length === call ? run!(50 * turns) : run!(turns),
    );
    expect(await chosen()).toBe("i32x4");
    expect(probe.i32x4.mock.calls.length).toBeGreaterThanOrEqual(60);
  });

  test("a clock that stands still ends the measuring", async () => {
    const probe = machine(SIGNED, { i16x8: 0, i32x4: 0 });
    expect(await chosen()).toBe("i16x8");
    expect(probe.i16x8).toHaveBeenCalled();
  });

  test("once", async () => {
    machine(SIGNED, { i16x8: 0.03, i32x4: 0.01 });
    vi.resetModules();
    const { fasterRelaxedDot } = await import("../src/relaxed-dot.js");
    expect(fasterRelaxedDot()).toBe("i32x4");
    const later = machine(SIGNED, { i16x8: 0.01, i32x4: 0.03 });
    expect(fasterRelaxedDot()).toBe("i32x4");
    expect(later.dot).not.toHaveBeenCalled();
  });
});
