import binaryen from "binaryen";
import { expect, test } from "vitest";
import { PROBE } from "../src/relaxed-dot.js";
import dots from "./dots.wat?raw";

test("the probe is that of `dots.wat`", () => {
  const module = binaryen.parseText(dots);
  module.setFeatures(binaryen.Features.All);
  expect(PROBE).toEqual(Uint8Array.from(module.emitBinary()));
});
