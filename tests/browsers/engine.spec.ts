/**
 * The package's engine in Firefox and WebKitGTK, with the real model: what `tests/e2e` asks of Chromium, in short. The page does
 * it all and reports. Nobody drives Firefox meanwhile: where its remote agent (153) listens to workers, one of seventy that a
 * worker opens is never given back to it.
 */

import { expect, test } from "@playwright/test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { json } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Capabilities } from "tallow";
import { goldenCases } from "../e2e/golden.js";
import { serve } from "../e2e/server.js";
import { webkit } from "../storage/browsers.js";

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

type Texts = { got: string; expected: string }[];

/** What `page.js` reports. */
interface Report {
  error?: string;
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

/** Firefox, left to itself. */
async function firefox(url: string): Promise<AsyncDisposable> {
  const profile = await mkdtemp(join(tmpdir(), "tallow-firefox-"));
  const path = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";
  const browser = spawn(path, ["--headless", "--no-remote", "--profile", profile, url], {
    stdio: "ignore",
    detached: true,
  });
  const exit = once(browser, "exit");
  return {
    async [Symbol.asyncDispose]() {
      if (browser.pid) process.kill(-browser.pid, "SIGKILL");
      await exit;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** `sharesMemory`: WebKitGTK has what it takes, as Safari, but only for who asks for it. */
const browsers: { name: string; sharesMemory: boolean; open: (url: string) => Promise<AsyncDisposable> }[] = [
  { name: "Firefox", sharesMemory: true, open: firefox },
  { name: "WebKitGTK", sharesMemory: false, open: (url) => webkit(url, "tallow") },
  {
    name: "WebKitGTK with SharedArrayBuffer",
    sharesMemory: true,
    open: (url) => webkit(url, "tallow", { JSC_useSharedArrayBuffer: "1" }),
  },
];

for (const { name, sharesMemory, open } of browsers)
  test(`${name} draws the golden tokens on each module and number of threads, and loads what it has stored`, async () => {
    let asked = 0;
    const prompts = goldenCases.filter(({ certain }) => certain.length > 0);
    let reported: (report: Promise<unknown>) => void = () => {};
    const report = new Promise<unknown>((resolve) => (reported = resolve)) as Promise<Report>;
    await using server = await serve({
      first: [["/browsers/", fileURLToPath(new URL("./", import.meta.url))]],
      intercept(request, response) {
        if (request.url === MODEL) asked++;
        if (request.url === "/browsers/plan.json")
          response.end(
            JSON.stringify({
              url: MODEL,
              prompts: prompts.map(({ prompt, certain }) => ({ prompt, certain })),
            }),
          );
        else if (request.url === "/browsers/report") response.end(reported(json(request)));
        else return false;
        return true;
      },
    });
    await using _browser = await open(`${server.url}/browsers/page.html`);
    const { error, capabilities, runs, stored, left } = await report;
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
