/** The package's engine in Firefox and WebKitGTK, with the real model: what `tests/e2e` asks of Chromium, in short. */

import { expect, test } from "@playwright/test";
import type * as Tallow from "tallow";
import { goldenCases } from "../e2e/golden.js";
import { serve, type TestServer } from "../e2e/server.js";
import { firefox, webkit, type Browser } from "../storage/browsers.js";

declare global {
  // What package.html puts into the page, and what a test leaves there for its next step.
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** What `run` gives in the page; it is sent as text. */
async function inPage<A, R>(browser: Browser, run: (argument: A) => Promise<R>, argument: A): Promise<R> {
  return (await browser.evaluate(`(${run})(${JSON.stringify(argument)})`)) as R;
}

/** `threads`: whether it shares memory between workers. WebKitGTK has what it takes, but only for who asks for it. */
const browsers: { name: string; threads: boolean; open: (url: string) => Promise<Browser> }[] = [
  { name: "Firefox", threads: true, open: (url) => firefox(url, "tallow") },
  { name: "WebKitGTK", threads: false, open: (url) => webkit(url, "tallow") },
  {
    name: "WebKitGTK with SharedArrayBuffer",
    threads: true,
    open: (url) => webkit(url, "tallow", { JSC_useSharedArrayBuffer: "1" }),
  },
];

for (const { name, threads: hasThreads, open } of browsers) {
  test(`${name} draws the golden greedy tokens on each module that it takes, on each number of threads`, async () => {
    await using browser = await open(`${server.url}/test/package.html`);
    const capabilities = await inPage(browser, async () => tallow.capabilities(), undefined);
    console.log(`${name}: ${JSON.stringify(capabilities)}`);
    expect(capabilities).toMatchObject({ simd128: true, atomics: true, crossOriginIsolated: true });
    expect(capabilities.module).toBe(capabilities.relaxedSimd ? "relaxed" : "simd128");
    expect(capabilities.threads > 1).toBe(hasThreads);

    const modules = capabilities.relaxedSimd ? (["relaxed", "simd128"] as const) : (["simd128"] as const);
    for (const module of modules)
      for (const threads of hasThreads ? [1, 2, "auto" as const] : [1, "auto" as const]) {
        const info = await inPage(
          browser,
          async ([url, module, threads]) => {
            globalThis.model = await tallow.loadModel(url, {
              wasmUrl: `/tallow/wasm/${module}.wasm`,
              threads,
              cache: false,
            });
            return { module: model.info.module, threads: model.info.threads };
          },
          [MODEL, module, threads] as const,
        );
        expect(info).toEqual({ module, threads: threads === "auto" ? capabilities.threads : threads });
        for (const { prompt, certain, promptIds } of goldenCases.filter(
          ({ certain }) => certain.length > 0,
        )) {
          const got = await inPage(
            browser,
            async ({ prompt, certain }) => {
              const answer = await model.completions.create({
                prompt,
                temperature: 0,
                max_tokens: certain.length,
              });
              return {
                text: answer.choices[0]?.text,
                usage: answer.usage,
                certain: await model.detokenize(Uint32Array.from(certain)),
              };
            },
            { prompt, certain },
          );
          expect(got.text).toBe(got.certain);
          expect(got.usage).toMatchObject({
            prompt_tokens: promptIds.length,
            completion_tokens: certain.length,
          });
        }
        await inPage(browser, async () => model.dispose(), undefined);
      }
  });
}
