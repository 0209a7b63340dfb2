/** The snippets in the documentation that are marked to be run, in Chromium with the default model. */

import { expect, test } from "@playwright/test";
import type * as Tallow from "tallow";
import { snippets } from "../../docs/snippets.js";
import { serve, type TestServer } from "./server.js";

declare global {
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

const runnable = snippets().filter(({ marks }) => marks.includes("run"));

let server: TestServer;
test.beforeAll(async () => {
  // The pages' policy forbids scripts that no server has.
  server = await serve({
    intercept(request, response) {
      const [, index] = /^\/snippets\/(\d+)\.js$/.exec(request.url ?? "") ?? [];
      const code = runnable[Number(index)]?.code;
      if (code === undefined) return false;
      const script = code
        .replaceAll('from "tallow"', 'from "/tallow/index.js"')
        .replaceAll('from "tallow/isolation"', 'from "/tallow/isolation.js"');
      response.writeHead(200, {
        "Content-Type": "text/javascript",
        "Cross-Origin-Embedder-Policy": "require-corp",
      });
      response.end(script);
      return true;
    },
  });
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("there are snippets to run", () => {
  expect(runnable.length).toBeGreaterThan(5);
});

for (const [index, { file, line, code }] of runnable.entries()) {
  test(`${file}:${line} runs`, async ({ page }) => {
    const said: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "assert") said.push(message.text());
    });
    page.on("pageerror", (error) => said.push(String(error)));
    await page.goto(`${server.url}/test/package.html`);
    await page.waitForFunction(() => "tallow" in globalThis);
    const outcome = await page.evaluate(
      async ([source, code, script]) => {
        const context: Record<string, unknown> = {
          messages: [{ role: "user", content: "Name three colours." }],
          text: "The quick brown fox jumps over the lazy dog. ".repeat(5),
          url: source,
          show: (text: string) => document.body.append(text),
        };
        // What a snippet makes itself, it is not given.
        if (!/\bmodel = await loadModel\(/.test(code)) context["model"] = await tallow.loadModel(source);
        Object.assign(globalThis, context);
        return import(script).then(
          () => "ran",
          (error: unknown) => String(error),
        );
      },
      [MODEL, code, `/snippets/${index}.js`] as const,
    );
    expect(outcome).toBe("ran");
    expect(said).toEqual([]);
  });
}
