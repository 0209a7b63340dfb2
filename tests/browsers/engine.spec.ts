/** The package's engine in Firefox and WebKitGTK, with the real model: what `tests/e2e` asks of Chromium, in short. */

import { expect, test } from "@playwright/test";
import type { Capabilities } from "tallow";
import { goldenCases } from "../e2e/golden.js";
import { browsers, MODEL, reportOf } from "./undriven.js";

type Texts = { got: string; expected: string }[];

/** What `engine.js` reports. */
interface Report {
  capabilities: Capabilities;
  runs: {
    module: string;
    threads: number | "auto";
    info: { module: string; threads: number };
    texts: Texts;
  }[];
  stored: { warnings: string[]; texts: Texts; complete: boolean[] }[];
  left: number;
}

for (const browser of browsers)
  test(`${browser.name} draws the golden tokens on each module and number of threads, and loads what it has stored`, async () => {
    const { name, sharesMemory } = browser;
    const prompts = goldenCases
      .filter(({ certain }) => certain.length > 0)
      .map(({ prompt, certain }) => ({ prompt, certain }));
    const { report, asked } = await reportOf<Report>(browser, "engine.html", { url: MODEL, prompts });
    const { error, capabilities, runs, stored, left } = report;
    expect(error).toBeUndefined();

    console.log(`${name}: ${JSON.stringify(capabilities)}`);
    expect(capabilities).toMatchObject({ simd128: true, atomics: true, crossOriginIsolated: true });
    expect(capabilities.module).toBe(capabilities.relaxedSimd ? "relaxed" : "simd128");
    expect(capabilities.threads > 1).toBe(sharesMemory);

    expect(runs).toHaveLength((capabilities.relaxedSimd ? 2 : 1) * (sharesMemory ? 3 : 2));
    for (const { module, threads, info, texts } of runs) {
      expect(info).toEqual({ module, threads: threads === "auto" ? capabilities.threads : threads });
      expect(texts).toHaveLength(prompts.length);
      for (const { got, expected } of texts) expect(got).toBe(expected);
    }

    expect(stored).toHaveLength(2);
    for (const { warnings, texts, complete } of stored) {
      expect({ warnings, complete }).toEqual({ warnings: [], complete: [true] });
      expect(texts.map(({ got }) => got)).toEqual(texts.map(({ expected }) => expected));
    }
    // Once for each run without storage, and once for the first of the others.
    expect(asked).toBe(runs.length + 1);
    expect(left).toBe(0);
  });
