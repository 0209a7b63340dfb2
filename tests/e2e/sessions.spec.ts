/** Sessions in Chromium, with the real model: forked, cut, saved, restored, shifted, in each type of KV cache. */

import { expect, test, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { serve, type TestServer } from "./server.js";

declare global {
  // What package.html puts into the page, and what a test leaves there for its next step.
  var tallow: typeof Tallow;
  var model: Tallow.Model;
  var session: Tallow.Session;
  var saved: Blob;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";
const TINY = readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));

/** Some 230 tokens. */
const STORY = "Once upon a time there was a lighthouse keeper who counted the ships that passed. ".repeat(14);

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openModel(page: Page, options: Tallow.LoadModelOptions = {}) {
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
  await page.evaluate(
    async ([url, options]) => {
      globalThis.model = await tallow.loadModel(url, options);
    },
    [MODEL, options] as const,
  );
}

test("a fork goes on from what its session has seen, and leaves it as it is", async ({ page }) => {
  await openModel(page);
  const got = await page.evaluate(async (prompt) => {
    const body = { temperature: 0, max_tokens: 12 };
    const session = await model.createSession();
    const first = await session.completions.create({ ...body, prompt });
    const fork = await session.fork();
    const seen = await session.tokens();
    const [of_fork, cut_at] = [await fork.completions.create({ ...body, prompt: `${prompt}One day` }), 20];
    const of_session = await session.completions.create({ ...body, prompt: `${prompt}One day` });
    const alone = await model.completions.create({
      ...body,
      prompt: `${prompt}One day`,
      cache_prompt: false,
    });
    await fork.truncate(cut_at);
    return {
      prompt_tokens: first.usage.prompt_tokens,
      seen: seen.length,
      texts: [of_fork, of_session, alone].map(({ choices }) => choices[0]?.text),
      cached: [of_fork, of_session, alone].map(({ timings }) => timings.cache_n),
      left: [(await fork.tokens()).length, (await session.tokens()).length > cut_at],
    };
  }, STORY);
  expect(got.seen).toBe(got.prompt_tokens + 11);
  expect(new Set(got.texts).size).toBe(1);
  expect(got.cached[0]).toBeGreaterThan(got.prompt_tokens - 5);
  expect(got.cached[1]).toBe(got.cached[0]);
  expect(got.cached[2]).toBe(0);
  expect(got.left).toEqual([20, true]);
});

test("conversations in sessions do not evaluate again what they have seen", async ({ page }) => {
  await openModel(page);
  const cached = await page.evaluate(async () => {
    const sessions = [await model.createSession(), await model.createSession()];
    const cached: number[] = [];
    for (const turn of [0, 1])
      for (const [i, session] of sessions.entries()) {
        const question = { role: "user", content: `Tell me about the number ${i}.` } as const;
        const answer = { role: "assistant", content: "It is a fine number." } as const;
        const messages = turn === 0 ? [question] : [question, answer, question];
        const { timings } = await session.chat.completions.create({ messages, max_tokens: 1 });
        cached.push(timings.cache_n);
      }
    return cached;
  });
  expect(cached.slice(0, 2)).toEqual([0, 0]);
  expect(Math.min(...cached.slice(2))).toBeGreaterThan(20);
});

for (const kvCacheType of ["f16", "f32", "q8_0"] as const) {
  test(`a session saved in ${kvCacheType} goes on in another page with the same tokens`, async ({ page }) => {
    await openModel(page, { kvCacheType });
    const before = await page.evaluate(async (prompt) => {
      const session = await model.createSession();
      await session.completions.create({ prompt, temperature: 0, max_tokens: 8 });
      const saved = await session.save();
      const { choices } = await session.completions.create({
        prompt: `${prompt}And then`,
        temperature: 0,
        max_tokens: 24,
      });
      // Pages of one origin share what is stored; the model's hash comes from another source there.
      const root = await navigator.storage.getDirectory();
      const file = await root.getFileHandle("saved", { create: true });
      const writable = await file.createWritable();
      await writable.write(saved);
      await writable.close();
      return { text: choices[0]?.text, type: model.info.kvCacheType };
    }, STORY);
    expect(before.type).toBe(kvCacheType);

    await page.reload();
    await page.waitForFunction(() => "tallow" in globalThis);
    const after = await page.evaluate(
      async ([url, prompt, kvCacheType]) => {
        const bytes = await (await fetch(url)).arrayBuffer();
        const model = await tallow.loadModel(bytes, { kvCacheType });
        const session = await model.createSession();
        const root = await navigator.storage.getDirectory();
        await session.restore(await (await root.getFileHandle("saved")).getFile());
        const { choices, timings } = await session.completions.create({
          prompt: `${prompt}And then`,
          temperature: 0,
          max_tokens: 24,
        });
        return { text: choices[0]?.text, cached: timings.cache_n, computed: timings.prompt_n };
      },
      [MODEL, STORY, kvCacheType] as const,
    );
    expect(after.text).toBe(before.text);
    expect(after.cached).toBeGreaterThan(200);
    expect(after.computed).toBeLessThan(8);
  });
}

test("a saved session that is damaged, cut off, or of another model is refused", async ({ page }) => {
  await openModel(page);
  const refusals = await page.evaluate(
    async ([prompt, tiny]) => {
      const session = await model.createSession();
      await session.completions.create({ prompt, max_tokens: 1 });
      const saved = await session.save();
      const length = (await session.tokens()).length;
      const flipped = new Uint8Array(await saved.arrayBuffer());
      flipped.set([(flipped[saved.size / 2] ?? 0) ^ 1], saved.size / 2);
      const small = await tallow.loadModel(Uint8Array.from(tiny).buffer);
      const q8 = await tallow.loadModel("/models/smollm2-135m-instruct-q4_1.gguf", { kvCacheType: "q8_0" });
      const why = (promise: Promise<unknown>) =>
        promise.then(
          () => "restored",
          ({ code, message }: Tallow.TallowError) => `${code}: ${message}`,
        );
      const refusals = [
        await why(session.restore(new Blob([flipped]))),
        await why(session.restore(saved.slice(0, -1))),
        await why(session.restore(new Blob([saved, "!"]))),
        await why(session.restore(new Blob(["GGUF and more".repeat(10)]))),
        await why((await small.createSession()).restore(saved)),
        await why((await q8.createSession()).restore(saved)),
      ];
      await session.dispose();
      return { refusals, kept: (await why(session.tokens())) + (length > 200) };
    },
    [STORY, [...TINY]] as const,
  );
  expect(refusals.refusals).toEqual([
    expect.stringMatching(/^integrity_error: the saved session should have the SHA-256 /),
    expect.stringMatching(/^integrity_error: the saved session should be \d+ bytes, but ends after \d+$/),
    expect.stringMatching(/^integrity_error: the saved session should end after \d+ bytes, but goes on$/),
    "integrity_error: the saved session should begin with `tallowKV`, but begins with `GGUF and`",
    expect.stringMatching(
      /^integrity_error: the saved session should be of the model with the hash \w{64}, but is of b179c95\w+$/,
    ),
    "invalid_request: the saved session should have a KV cache of q8_0, as the model was loaded, but has one of f16",
  ]);
  expect(refusals.kept).toBe("invalid_request: the session was disposed oftrue");
});

test("a full context ends the answer, or shifts", async ({ page }) => {
  await openModel(page, { contextLength: 128 });
  const got = await page.evaluate(async (prompt) => {
    const body = { prompt: "Once upon a time", temperature: 0, ignore_eos: true };
    const ended = await model.completions.create(body);
    const session = await model.createSession();
    const shifted = await session.completions.create({
      ...body,
      context: "shift",
      n_keep: 4,
      max_tokens: 300,
    });
    const seen = await session.tokens();
    const refused = await model.completions
      .create({ ...body, prompt })
      .catch(({ code }: Tallow.TallowError) => code);
    const long = await model.completions.create({ ...body, prompt, context: "shift", max_tokens: 4 });
    return {
      ended: [ended.choices[0]?.finish_reason, ended.usage.total_tokens],
      shifted: [shifted.choices[0]?.finish_reason, shifted.usage.completion_tokens],
      same: shifted.choices[0]?.text.startsWith(ended.choices[0]?.text ?? "nothing"),
      kept: await model.detokenize(seen.slice(0, 4)),
      seen: seen.length,
      refused,
      long: long.usage.prompt_tokens,
    };
  }, STORY);
  expect(got.ended).toEqual(["length", 128]);
  expect(got.shifted).toEqual(["length", 300]);
  expect(got).toMatchObject({ same: true, kept: "Once upon a time", refused: "context_length_exceeded" });
  expect(got.seen).toBeLessThanOrEqual(128);
  expect(got.long).toBeLessThan(128);
  expect(got.long).toBeGreaterThan(60);
});

test("a chat that shifts keeps its system message", async ({ page }) => {
  await openModel(page, { contextLength: 128 });
  const seen = await page.evaluate(async (long) => {
    const system = { role: "system" as const, content: "You are a parrot called Coco." };
    const ask = async (content: string, fields: Partial<Tallow.ChatCompletionCreateParamsNonStreaming>) => {
      const session = await model.createSession();
      const messages = [system, { role: "user" as const, content }];
      const body = { messages, context: "shift" as const, ignore_eos: true, temperature: 0, max_tokens: 250 };
      await session.chat.completions.create({ ...body, ...fields });
      const text = await model.detokenize(await session.tokens());
      await session.dispose();
      return text;
    };
    return {
      kept: [await ask("Who are you?", {}), await ask(long, {})],
      few: await ask("Who are you?", { n_keep: 4 }),
      refused: await model.chat.completions
        .create({
          messages: [
            { role: "system", content: long },
            { role: "user", content: "Go on." },
          ],
          context: "shift",
        })
        .catch((error: Tallow.TallowError) => `${error.code}: ${error.message}`),
    };
  }, STORY);
  for (const text of seen.kept) expect(text).toMatch(/^<\|im_start\|>system\nYou are a parrot called Coco\./);
  expect(seen.few).not.toContain("Coco.<|im_end|>");
  expect(seen.refused).toMatch(
    /^context_length_exceeded: the system message takes \d+ tokens; a context of 128 that is shifted keeps 124 at most$/,
  );
});

test("what a context takes follows its type", async ({ page }) => {
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
  const needs = await page.evaluate(async (url) => {
    const needs: (number | undefined)[] = [];
    for (const kvCacheType of ["f16", "f32", "q8_0"] as const)
      needs.push((await tallow.inspect(url, { kvCacheType, contextLength: 2048 })).memory?.kvCache);
    return needs;
  }, MODEL);
  const f16 = 2 * 30 * 3 * 64 * 2 * 2048;
  expect(needs).toEqual([f16, 2 * f16, (f16 * 8.5) / 16]);
});
