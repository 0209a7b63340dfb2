/** Threads in Chromium: how many there are, how they end, and what becomes of a model that loses one. */

import { expect, test, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { serve, type TestServer } from "./server.js";

const TINY = readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));
const WORKER = readFileSync(new URL("../../js/dist/worker.js", import.meta.url), "utf8");

/**
 * Serves the package and the tiny model. `before` is run by every compute worker before its own script; with `once` that
 * is there for the engine worker alone; with `stalls` the first compute worker's request for it is never answered. `/die`
 * is there once `die` says so.
 */
async function open(
  page: Page,
  { isolation = true, before = "", once = false, stalls = false, die = (): boolean => false } = {},
): Promise<TestServer> {
  let scripts = 0;
  const server = await serve({
    isolation,
    intercept: (request, response) => {
      if (request.url === "/tiny.gguf") response.end(TINY);
      else if (request.url === "/die") response.writeHead(die() ? 200 : 204).end();
      else if (request.url !== "/tallow/worker.js") return false;
      else if (++scripts > 1 && once) response.writeHead(404).end();
      else if (scripts === 2 && stalls) return true;
      else
        response
          .writeHead(200, {
            "Content-Type": "text/javascript",
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cache-Control": "no-store",
          })
          .end(`if (name === "tallow-compute") {${before}}\n${WORKER}`);
      return true;
    },
  });
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
  return server;
}

/** Loads the tiny model; how many threads it has, or why it does not load. */
async function load(page: Page, threads?: number): Promise<number | string> {
  return page.evaluate(async (threads) => {
    try {
      globalThis.model = await tallow.loadModel("/tiny.gguf", { threads });
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return `${code}: ${message}`;
    }
    return globalThis.model.info.threads;
  }, threads);
}

/** The model's greedy answer, or the code of its error. */
async function ask(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const body = { prompt: "abc", max_tokens: 8, temperature: 0, ignore_eos: true };
    return model.completions.create(body).then(
      ({ choices }) => `answer: ${choices[0]?.text}`,
      ({ code, message }) => `${code}: ${message}`,
    );
  });
}

test("there are as many as asked for, the answer is the same, and dispose ends them all", async ({
  page,
}) => {
  await using _ = await open(page);
  const answers = [];
  for (const threads of [1, 2, 3, 5]) {
    expect(await load(page, threads)).toBe(threads);
    await expect.poll(() => page.workers().length).toBe(threads);
    answers.push(await ask(page));
    await page.evaluate(() => model.dispose());
    await expect.poll(() => page.workers().length).toBe(0);
  }
  expect(answers[0]).toMatch(/^answer: ./);
  expect(new Set(answers).size).toBe(1);
});

test("unasked there is one for each processor, 8 at most", async ({ page }) => {
  await using _ = await open(page);
  const threads = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 8));
  expect(await load(page)).toBe(threads);
  expect(await page.evaluate(() => tallow.capabilities().threads)).toBe(threads);
});

test("leaving the page ends them", async ({ page }) => {
  await using _ = await open(page);
  expect(await load(page, 3)).toBe(3);
  await page.goto("about:blank");
  await expect.poll(() => page.workers().length).toBe(0);
});

test("where the page is not cross-origin isolated there is one, and more are refused", async ({ page }) => {
  await using _ = await open(page, { isolation: false });
  expect(await load(page)).toBe(1);
  expect(page.workers()).toHaveLength(1);
  expect(await ask(page)).toMatch(/^answer: ./);
  expect(await load(page, 2)).toMatch(/^invalid_request: `threads` should be 1 or "auto" .*, got 2; /);
});

/**
 * Lets every compute worker do `action` in its first job. While its wasm waits for one it looks at the clock twice, as
 * this one is slow, and no job comes before that: only then the worker says that it has joined. The third look is the job's.
 */
const inFirstJob = (action: string) => `
  const now = performance.now.bind(performance);
  const post = postMessage.bind(globalThis);
  let joined;
  globalThis.postMessage = (message) => { joined = message; };
  let looks = 0;
  performance.now = () => {
    if (joined && ++looks === 2) post(joined);
    if (looks === 3) { ${action} }
    for (const start = now(); now() < start + 1; );
    return now();
  };`;

test("one that dies in a job is told of, and all end", async ({ page }) => {
  await using _ = await open(page, { before: inFirstJob('throw new Error("killed");') });
  expect(await load(page, 3)).toBe("worker_lost: a compute worker stopped");
  await expect.poll(() => page.workers().length).toBe(0);
});

test("one that hangs in a job is told of, and all end", async ({ page }) => {
  await using _ = await open(page, {
    before: inFirstJob("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"),
  });
  expect(await load(page, 2)).toBe("worker_lost: a compute worker does not answer");
  await expect.poll(() => page.workers().length).toBe(0);
});

test("a script that is missing is told of", async ({ page }) => {
  await using _ = await open(page, { once: true });
  expect(await load(page, 3)).toMatch(/^worker_lost: a compute worker could not be started/);
  await page.goto("about:blank");
  await expect.poll(() => page.workers().length).toBe(0);
});

test("a script that does not come is told of, and all end", async ({ page }) => {
  await using _ = await open(page, { stalls: true });
  const start = Date.now();
  expect(await load(page, 3)).toBe(
    "worker_lost: a compute worker could not be started: it did not answer within 30 s",
  );
  expect(Date.now() - start).toBeLessThan(60_000);
  await expect.poll(() => page.workers().length).toBe(0);
});

test("one that cannot receive the memory is told of, and all end", async ({ page }) => {
  const before = `
    addEventListener("message", (event) => {
      event.stopImmediatePropagation();
      dispatchEvent(new MessageEvent("messageerror"));
    });`;
  await using _ = await open(page, { before });
  expect(await load(page, 3)).toBe(
    "worker_lost: a compute worker could not be started: the module and its memory could not be received",
  );
  await expect.poll(() => page.workers().length).toBe(0);
});

test("one that dies between two answers is told of by the next, and all end", async ({ page }) => {
  // While its clock stands still it does not sleep, but looks at the clock again and again, and is in no job while no answer
  // is asked for.
  const before = `
    let looks = 0;
    performance.now = () => {
      if (++looks % 10000 === 0) {
        const request = new XMLHttpRequest();
        request.open("GET", "/die", false);
        request.send();
        if (request.status === 200) {
          reportError(new Error("killed"));
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        }
      }
      return 0;
    };`;
  let die = false;
  let dead = 0;
  await using _ = await open(page, { before, die: () => die && ++dead > 0 });
  expect(await load(page, 3)).toBe(3);
  expect(await ask(page)).toMatch(/^answer: ./);
  die = true;
  await expect.poll(() => dead).toBe(2);
  const start = Date.now();
  await expect.poll(() => ask(page)).toBe("worker_lost: a compute worker stopped");
  expect(Date.now() - start).toBeLessThan(5000);
  await expect.poll(() => page.workers().length).toBe(0);
});

test("one that dies while the model answers is told of, and all end", async ({ page }) => {
  // A compute worker sits in its wasm and takes no messages; so now and then, where it looks at the clock, it asks.
  const before = `
    const now = performance.now.bind(performance);
    let looks = 0;
    performance.now = () => {
      if (++looks % 500 === 0) {
        const request = new XMLHttpRequest();
        request.open("GET", "/die", false);
        request.send();
        if (request.status === 200) throw new Error("killed");
      }
      return now();
    };`;
  let die = false;
  await using _ = await open(page, { before, die: () => die });
  expect(await load(page, 2)).toBe(2);
  expect(await ask(page)).toMatch(/^answer: ./);
  die = true;
  await expect.poll(() => ask(page), { timeout: 120_000 }).toMatch(/^worker_lost/);
  expect(await ask(page)).toBe("worker_lost: a compute worker stopped");
  await expect.poll(() => page.workers().length).toBe(0);
});
