/** Threads in Chromium: how many there are, how they end, and what becomes of a model that loses one. */

import { expect, test, type BrowserContext, type Page } from "@playwright/test";
import { readdirSync, readFileSync } from "node:fs";
import { serve, type TestServer } from "./server.js";

const TINY = readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));
const WORKER = readFileSync(new URL("../../js/dist/worker.js", import.meta.url), "utf8");

const TEXT: string = JSON.parse(
  readFileSync(new URL("../golden/smollm2-135m-instruct-q4_1.perplexity.json", import.meta.url), "utf8"),
).text;

/**
 * Serves the package and the tiny model. `before` is run by every compute worker before its own script, `engine` by the
 * engine worker; with `once` that is there for the engine worker alone; with `stalls` the first compute worker's request for
 * it is never answered. `/die` is there once `die` says so.
 */
async function open(
  page: Page,
  {
    isolation = true,
    before = "",
    engine = "",
    once = false,
    stalls = false,
    die = (): boolean => false,
  } = {},
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
          .end(`if (name === "tallow-compute") {${before}} else {${engine}}\n${WORKER}`);
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

/** Milliseconds of a core that each worker's thread has had so far, by the thread's id. */
async function workerTimes(context: BrowserContext): Promise<Map<string, number>> {
  const client = await context.browser()?.newBrowserCDPSession();
  const { processInfo } = (await client?.send("SystemInfo.getProcessInfo")) ?? { processInfo: [] };
  await client?.detach();
  const tasks = processInfo
    .filter(({ type }) => type === "renderer")
    .flatMap(({ id }) => readdirSync(`/proc/${id}/task`).map((task) => `/proc/${id}/task/${task}`));
  const read = (path: string) => readFileSync(path, "utf8");
  return new Map(
    tasks
      .filter((task) => /^Dedicated/.test(read(`${task}/comm`)))
      .map((task) => [task, Number(read(`${task}/schedstat`).split(" ")[0]) / 1e6]),
  );
}

for (const module of ["relaxed", "simd128"] as const) {
  for (const source of ["/tiny.gguf", "/models/smollm2-135m-instruct-q4_1.gguf"]) {
    test(`1, 2 and 3 give the same bits: ${module}, ${source}`, async ({ page, context }) => {
      // To an engine whose clock stands still threads pay, however busy the machine is: none rests.
      await using _ = await open(page, { engine: "performance.now = () => 0;" });
      const run = async (threads: number) => {
        const loaded = await page.evaluate(
          async ([source, module, threads]) => {
            const wasmUrl = `/tallow/wasm/${module}.wasm`;
            globalThis.model = await tallow.loadModel(source, { threads, wasmUrl, cache: false });
            return { module: model.info.module, threads: model.info.threads };
          },
          [source, module, threads] as const,
        );
        expect(loaded).toEqual({ module, threads });
        const before = await workerTimes(context);
        const seen = await page.evaluate(async (text) => {
          const ids = (await model.tokenize(text)).slice(0, 333);
          const scores = await model.score(ids);
          // So much more that what the first thread does by itself is little of it, however small the model.
          if (model.info.parameters < 1e7) for (let more = 0; more < 20; more++) await model.score(ids);
          const { choices, usage } = await model.completions.create({
            prompt: [...ids.slice(0, 300)],
            max_tokens: 40,
            temperature: 0,
            ignore_eos: true,
            logprobs: 5,
          });
          const { tokens = [], token_logprobs = [], top_logprobs = [] } = choices[0]?.logprobs ?? {};
          return {
            scored: [...scores.logprobs, ...scores.entropies].filter((number) => !Number.isNaN(number)),
            drawn: [...token_logprobs, ...top_logprobs.flatMap((top) => Object.values(top))],
            tokens,
            usage,
          };
        }, TEXT);
        const after = await workerTimes(context);
        await page.evaluate(() => model.dispose());
        await expect.poll(() => page.workers().length).toBe(0);
        const times = [...after].map(([task, time]) => time - (before.get(task) ?? 0));
        return { ...seen, times: times.sort((a, b) => b - a) };
      };

      const alone = await run(1);
      expect(alone.usage).toMatchObject({ prompt_tokens: 300, completion_tokens: 40 });
      expect(alone.scored.length).toBe(2 * 332);
      expect(alone.drawn.length).toBeGreaterThanOrEqual(6 * 40);
      for (const threads of [2, 3]) {
        const together = await run(threads);
        console.log(`${module}, ${threads} threads, ms: ${together.times.map(Math.round).join(" ")}`);
        expect(together.tokens).toEqual(alone.tokens);
        for (const numbers of ["scored", "drawn"] as const) {
          expect(together[numbers].length).toBe(alone[numbers].length);
          const others = together[numbers].filter((number, i) => !(number === alone[numbers][i]));
          expect(others.length, `${numbers} of ${threads} threads`).toBe(0);
        }
        // All had a part in it.
        expect(together.times.length).toBe(threads);
        expect(together.times.at(-1)).toBeGreaterThan(0.1 * together.times[0]!);
      }
    });
  }
}

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

/**
 * A script for a compute worker, which sits in its wasm and takes no messages: now and then, where it looks at the clock, it
 * asks whether it `dies`, and does `what`.
 */
function asking(what: string): string {
  return `
    const now = performance.now.bind(performance);
    let looks = 0;
    performance.now = () => {
      if (++looks % 500 === 0) {
        const request = new XMLHttpRequest();
        request.open("GET", "/die", false);
        request.send();
        const dies = request.status === 200;
        ${what}
      }
      return now();
    };`;
}

test("one that dies while the model answers is told of, and all end", async ({ page }) => {
  const before = asking('if (dies) throw new Error("killed");');
  let die = false;
  await using _ = await open(page, { before, die: () => die });
  expect(await load(page, 2)).toBe(2);
  expect(await ask(page)).toMatch(/^answer: ./);
  die = true;
  await expect.poll(() => ask(page), { timeout: 120_000 }).toMatch(/^worker_lost/);
  expect(await ask(page)).toBe("worker_lost: a compute worker stopped");
  await expect.poll(() => page.workers().length).toBe(0);
});

test("memory that one wants while the model answers and does not get is out_of_memory, and all end", async ({
  page,
}) => {
  // It takes 2 GiB again and again.
  const before = `
    const { instantiate } = WebAssembly;
    let wasm;
    WebAssembly.instantiate = async (...args) => (wasm = await instantiate(...args));
    ${asking("while (dies) wasm.exports.__wbindgen_malloc(0x7fff0000, 1);")}`;
  let die = false;
  await using _ = await open(page, { before, die: () => die });
  expect(await load(page, 2)).toBe(2);
  expect(await ask(page)).toMatch(/^answer: ./);
  die = true;
  await expect
    .poll(() => ask(page), { timeout: 120_000 })
    .toMatch(/^out_of_memory: 2147418112 bytes were refused; \d+ of at most 4294967296 bytes are in use$/);
  expect(await ask(page)).toBe("worker_lost: the worker stopped after an error `out_of_memory`");
  await expect.poll(() => page.workers().length).toBe(0);
});
