import binaryen from "binaryen";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { PROBE } from "../src/relaxed-dot.js";

test("the probe is that of `dots.wat`", async () => {
  const module = binaryen.parseText(await readFile(new URL("dots.wat", import.meta.url), "utf8"));
  module.setFeatures(binaryen.Features.All);
  expect(PROBE).toEqual(Uint8Array.from(module.emitBinary()));
});
