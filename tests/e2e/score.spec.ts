/** `model.score` in Chromium, on both wasm modules, against float32; and two models in one page. */

import { expect, test, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { serve, type TestServer } from "./server.js";

declare global {
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

function golden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"));
}

const perplexity = golden<{
  text: string;
  ids: number[];
  nll_f32: number[];
  perplexity_f32: number;
}>("smollm2-135m-instruct-q4_1.perplexity.json");

const greedy = golden<{
  cases: { prompt_ids: number[]; greedy: number[]; top10_logprobs_f32: [number, number][][] }[];
  llama_cpp_error_to_f32: { mean_abs: number };
}>("smollm2-135m-instruct-q4_1.greedy.json");

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openPackage(page: Page) {
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
}

async function load(page: Page, module: Tallow.WasmModuleName = "relaxed") {
  const ran = await page.evaluate(
    async ([source, module]) => {
      globalThis.model = await tallow.loadModel(source, { wasmUrl: `/tallow/wasm/${module}.wasm` });
      return globalThis.model.info.module;
    },
    [MODEL, module] as const,
  );
  expect(ran).toBe(module);
}

for (const module of ["relaxed", "simd128"] as const) {
  test(`module ${module} scores about as near to float32 as llama.cpp, or nearer`, async ({ page }) => {
    await openPackage(page);
    await load(page, module);
    const scores = await page.evaluate(async (text) => {
      const { ids, logprobs, perplexity, timings } = await model.score(text);
      return { ids: [...ids], logprobs: [...logprobs], perplexity, timings };
    }, perplexity.text);
    expect(scores.ids).toEqual(perplexity.ids);
    expect(scores.logprobs[0]).toBeNaN();
    console.log(`${module}: perplexity ${scores.perplexity}, float32 ${perplexity.perplexity_f32}`);
    expect(Math.abs(scores.perplexity / perplexity.perplexity_f32 - 1)).toBeLessThanOrEqual(0.01);
    expect(scores.timings).toMatchObject({ prompt_n: perplexity.ids.length });
    const off = perplexity.nll_f32.map((nll, i) => Math.abs(nll + scores.logprobs[i + 1]!));
    expect(off.length).toBe(scores.logprobs.length - 1);
    expect(Math.max(...off)).toBeLessThanOrEqual(1.3);

    const all = await page.evaluate(
      async (texts) => {
        const answers = [];
        for (const ids of texts) answers.push((await model.score(ids, { topLogprobs: 100 })).top);
        return answers;
      },
      greedy.cases.map(({ prompt_ids, greedy }) => [...prompt_ids, ...greedy]),
    );
    const differences = greedy.cases.flatMap(({ prompt_ids, top10_logprobs_f32 }, n) =>
      top10_logprobs_f32.flatMap((best, i) => {
        const found = all[n]![prompt_ids.length + i]!;
        const [first, second] = best;
        if (first![1] - second![1] > 0.5) expect(found[0]!.id).toBe(first![0]);
        const logprobs = new Map(found.map(({ id, logprob }) => [id, logprob]));
        // What is among the ten best of one is among the hundred best of the other.
        return best.map(([id, logprob]) => Math.abs(logprobs.get(id)! - logprob));
      }),
    );
    const mean = differences.reduce((a, b) => a + b) / differences.length;
    console.log(`${module}: ${differences.length} log-probabilities, mean ${mean} from float32`);
    expect(mean).toBeLessThanOrEqual(1.1 * greedy.llama_cpp_error_to_f32.mean_abs);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1.3);
  });

  test(`module ${module}: ranks, entropies and alternatives agree with the whole vocabulary`, async ({
    page,
  }) => {
    await openPackage(page);
    await load(page, module);
    const { scores, size } = await page.evaluate(async () => {
      const { logprobs, ranks, entropies, top, texts, ids } = await model.score("The cat sat on the mat.", {
        topLogprobs: 49152,
      });
      const size = top[1]!.length;
      const plain = (numbers: ArrayLike<number>) => Array.from(numbers);
      // Over the whole vocabulary, the alternatives are the distribution.
      const oracle = top.slice(1).map((row, i) => {
        const p = row.map(({ logprob }) => Math.exp(logprob));
        const own = row.find(({ id }) => id === ids[i + 1])!;
        return {
          total: p.reduce((a, b) => a + b),
          entropy: p.reduce((sum, p, i) => (p > 0 ? sum - p * row[i]!.logprob : sum), 0),
          logprob: own.logprob,
          rank: 1 + row.filter(({ logprob }) => logprob > own.logprob).length,
          sorted: row.every(({ logprob }, i) => i === 0 || logprob <= row[i - 1]!.logprob),
          text: own.text,
        };
      });
      return {
        size,
        scores: oracle.map((oracle, i) => ({
          oracle,
          logprob: logprobs[i + 1]!,
          rank: ranks[i + 1]!,
          entropy: plain(entropies)[i + 1]!,
          text: texts[i + 1]!,
        })),
      };
    });
    expect(size).toBe(49152);
    expect(scores.map(({ text }) => text).join("")).toBe(" cat sat on the mat.");
    for (const { oracle, ...got } of scores) {
      expect(oracle.sorted).toBe(true);
      expect(Math.abs(oracle.total - 1)).toBeLessThan(1e-4);
      expect(Math.abs(got.entropy - oracle.entropy)).toBeLessThan(1e-3);
      expect(got).toMatchObject({ logprob: oracle.logprob, rank: oracle.rank, text: oracle.text });
    }
  });
}

test("a text longer than the window is scored in windows, each token once", async ({ page }) => {
  await openPackage(page);
  await load(page);
  const seen = await page.evaluate(async (ids) => {
    const [window, stride] = [96, 40];
    const told: Tallow.ScoreProgress[] = [];
    const found = await model.score(ids, { window, stride, onProgress: (progress) => told.push(progress) });
    // Plainly: every window by itself, of which what is new is kept.
    const plain: number[] = [];
    for (let begin = 0; plain.length < ids.length; begin += stride) {
      const { logprobs } = await model.score(ids.slice(begin, begin + window));
      plain.push(...logprobs.slice(plain.length - begin));
    }
    return { logprobs: [...found.logprobs], plain, told, n: found.timings.prompt_n };
  }, perplexity.ids);
  expect(seen.logprobs.length).toBe(perplexity.ids.length);
  expect(seen.plain.length).toBe(perplexity.ids.length);
  // The same numbers but for the order of sums: those of 8-bit activations turn now and then.
  const off = seen.logprobs.slice(1).map((logprob, i) => Math.abs(logprob - seen.plain[i + 1]!));
  expect(Math.max(...off)).toBeLessThan(0.1);
  expect(seen.told.at(-1)).toEqual({ done: seen.n, total: seen.n });
  expect(seen.told.every(({ done }, i) => i === 0 || done > seen.told[i - 1]!.done)).toBe(true);
});

test("a text longer than the context is scored by default; the chat's cache stays", async ({ page }) => {
  await openPackage(page);
  const seen = await page.evaluate(
    async ([source, ids]) => {
      globalThis.model = await tallow.loadModel(source, { contextLength: 128 });
      const messages = [{ role: "user" as const, content: "Name three colours." }];
      const ask = () => model.chat.completions.create({ messages, temperature: 0, max_tokens: 8 });
      const before = await ask();
      const { logprobs, perplexity } = await model.score(ids);
      const after = await ask();
      return {
        logprobs: [...logprobs],
        perplexity,
        texts: [before, after].map(({ choices }) => choices[0]!.message.content),
        timings: after.timings,
      };
    },
    [MODEL, perplexity.ids] as const,
  );
  expect(seen.logprobs.slice(1).every((logprob) => logprob < 0)).toBe(true);
  expect(seen.logprobs.length).toBe(perplexity.ids.length);
  // Less context, more surprise: but half a window is most of it.
  expect(seen.perplexity).toBeGreaterThan(perplexity.perplexity_f32);
  expect(seen.perplexity).toBeLessThan(1.5 * perplexity.perplexity_f32);
  expect(seen.texts[1]).toBe(seen.texts[0]);
  expect(seen.timings).toMatchObject({ prompt_n: 1 });
});

test("an abort stops scoring within a step, and what is wrong is refused by name", async ({ page }) => {
  await openPackage(page);
  await load(page);
  const seen = await page.evaluate(async (ids) => {
    const controller = new AbortController();
    const told: number[] = [];
    const onProgress = ({ done }: Tallow.ScoreProgress) => {
      told.push(done);
      if (told.length === 2) controller.abort();
    };
    const long = Array.from({ length: 12 }, () => ids).flat();
    const aborted = await model
      .score(long, { signal: controller.signal, onProgress })
      .catch((error: Error) => error.name);
    const stoppedAt = performance.now();
    await model.score([1, 2, 3]);
    const waited = performance.now() - stoppedAt;
    const refused = [];
    for (const call of [
      () => model.score(""),
      () => model.score([]),
      () => model.score([1, 2, 49152]),
      () => model.score("a b", { window: 9999 }),
      () => model.score("a b", { window: 8, stride: 8 }),
      () => model.score("a b", { topLogprobs: 49153 }),
    ]) {
      refused.push(
        await call().then(String, (error: Tallow.TallowError) => `${error.code}: ${error.message}`),
      );
    }
    return { aborted, told, waited, refused };
  }, perplexity.ids);
  expect(seen.aborted).toBe("AbortError");
  expect(seen.told).toEqual([32, 64]);
  expect(seen.waited).toBeLessThan(5000);
  expect(seen.refused).toEqual([
    "invalid_request: `textOrIds` should be a text or ids, got nothing to score",
    "invalid_request: `textOrIds` should be a text or ids, got nothing to score",
    "invalid_request: `ids[2]` should be below 49152, got 49152",
    "invalid_request: `window` should be in 2..=8192, got 9999",
    "invalid_request: `stride` should be in 1..=7, got 8",
    "invalid_request: the number of alternatives should be in 0..=49152, got 49153",
  ]);
});

test("two models side by side give what each gives alone, and one outlives the other", async ({ page }) => {
  await openPackage(page);
  const seen = await page.evaluate(
    async ([source, tinyBytes]) => {
      const small = () => new Blob([Uint8Array.from(tinyBytes)]);
      const ids = [1, 200, 17, 42, 3, 99];
      const work = async (model: Tallow.Model) => {
        const answer = model.completions.create({ prompt: "The sky is", temperature: 0, max_tokens: 8 });
        const scores = model.score(ids, { topLogprobs: 3 });
        const { top, logprobs } = await scores;
        return JSON.stringify([(await answer).choices[0]!.text, top, [...logprobs]]);
      };
      const alone = [];
      for (const from of [source, small()]) {
        const model = await tallow.loadModel(from, { threads: 1 });
        alone.push(await work(model));
        await model.dispose();
      }
      const [first, second] = await Promise.all([
        tallow.loadModel(source, { threads: 1 }),
        tallow.loadModel(small(), { threads: 1 }),
      ]);
      const together = await Promise.all([work(first), work(second), work(first), work(second)]);
      await first.dispose();
      const left = await work(second);
      const gone = await first.score(ids).catch((error: Tallow.TallowError) => error.code);
      await second.dispose();
      return { alone, together, left, gone };
    },
    [MODEL, [...readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url))]] as const,
  );
  const [first, second] = seen.alone;
  expect(first).not.toBe(second);
  expect(seen.together).toEqual([first, second, first, second]);
  expect(seen.left).toBe(second);
  expect(seen.gone).toBe("worker_lost");
});
