/** How tokens are drawn and told of, in OpenAI's and llama.cpp's words, in Chromium with the real model. */

import { expect, test, type Page } from "@playwright/test";
import type OpenAI from "openai";
import { rolldown } from "rolldown";
import type * as Tallow from "tallow";
import { serve, type TestServer } from "./server.js";

declare global {
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";
const PROMPT = "My favourite colour is";

// One page and one model for all of them.
let server: TestServer;
let page: Page;
test.beforeAll(async ({ browser }) => {
  server = await serve();
  page = await browser.newPage();
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
  await page.evaluate(async (source) => void (globalThis.model = await tallow.loadModel(source)), MODEL);
});
test.afterAll(async () => {
  await page?.close();
  await server[Symbol.asyncDispose]();
});

type Body = Omit<Tallow.CompletionCreateParams, "prompt" | "stream"> & { prompt?: string };

/** The answers to a raw prompt. */
function complete(body: Body): Promise<Tallow.Completion> {
  return page.evaluate((body) => model.completions.create(body), { prompt: PROMPT, ...body });
}

/** The texts of a stream's chunks, by choice. */
function streamed(body: Body): Promise<{ texts: string[][]; reasons: (string | null)[] }> {
  return page.evaluate(
    async (body) => {
      const texts: string[][] = [];
      const reasons: (string | null)[] = [];
      for await (const { choices } of await model.completions.create({ ...body, stream: true }))
        for (const { index, text, finish_reason } of choices) {
          (texts[index] ??= []).push(text);
          if (finish_reason) reasons[index] = finish_reason;
        }
      return { texts, reasons };
    },
    { prompt: PROMPT, ...body },
  );
}

/** The likeliest tokens after a prompt and the logarithms of their probabilities, the likeliest first. */
async function likeliest(prompt = PROMPT): Promise<[string, number][]> {
  const { choices } = await complete({ prompt, max_tokens: 1, temperature: 0, logprobs: 20 });
  return Object.entries(choices[0]?.logprobs?.top_logprobs[0] ?? {}).sort(([, a], [, b]) => b - a);
}

/** Which of the likeliest tokens come up in 128 draws. */
async function drawn(body: Body): Promise<Set<string>> {
  const { choices } = await complete({ max_tokens: 1, n: 128, logprobs: 0, seed: 1, ...body });
  return new Set(choices.flatMap(({ logprobs }) => logprobs?.tokens ?? []));
}

async function idOf(token: string): Promise<number> {
  const ids = await page.evaluate(async (token) => [...(await model.tokenize(token))], token);
  expect(ids).toHaveLength(1);
  return ids[0] as number;
}

function refusal(body: object): Promise<string> {
  return page.evaluate(
    (body) =>
      model.completions.create(body as never).then(
        () => "none",
        (error: Tallow.TallowError) => `${error.code}: ${error.message}`,
      ),
    { prompt: PROMPT, ...body },
  );
}

test.describe("stop", () => {
  const greedy = { prompt: "One, two, three,", temperature: 0, max_tokens: 24 };

  test("ends an answer wherever tokens end, and no part of it is told", async () => {
    const whole = await complete({ ...greedy, logprobs: 0 });
    const text = whole.choices[0]?.text ?? "";
    const borders = whole.choices[0]?.logprobs?.text_offset.slice(3) ?? [];
    expect(borders.length).toBeGreaterThan(10);
    for (const border of borders.slice(0, 6)) {
      // Begins and ends within tokens, and goes across the border.
      const stop = text.slice(border - 2, border + 2);
      const expected = text.slice(0, text.indexOf(stop));
      for (const stops of [stop, ["never there", stop, `${stop} more`]]) {
        const answer = await complete({ ...greedy, stop: stops });
        expect(answer.choices).toMatchObject([{ text: expected, finish_reason: "stop" }]);
        expect(answer.usage.completion_tokens).toBeLessThan(24);
        const { texts, reasons } = await streamed({ ...greedy, stop: stops });
        expect([texts[0]?.join(""), reasons]).toEqual([expected, ["stop"]]);
      }
    }
  });

  test("what only looked like it is told, in the middle and at the end", async () => {
    const { choices } = await complete(greedy);
    const text = choices[0]?.text ?? "";
    const stop = [`${text.slice(4, 9)}\u{10FFFF}`, `${text.slice(-3)}\u{10FFFF}`, "\u{10FFFF}"];
    expect((await complete({ ...greedy, stop })).choices).toMatchObject([{ text, finish_reason: "length" }]);
    const { texts } = await streamed({ ...greedy, stop });
    expect(texts[0]?.join("")).toBe(text);
    // It comes with the last of them.
    expect(texts[0]?.at(-2)).toMatch(new RegExp(`${text.slice(-3)}$`));
  });

  test("cuts the log-probabilities where it cuts the text", async () => {
    const whole = await complete({ ...greedy, logprobs: 0 });
    const { text, logprobs } = whole.choices[0] as Tallow.Completion["choices"][number];
    const at = logprobs?.text_offset[8] as number;
    const stopped = await complete({ ...greedy, logprobs: 0, stop: text.slice(at, at + 6) });
    const told = stopped.choices[0]?.logprobs;
    expect(stopped.choices[0]?.text).toBe(told?.tokens.join(""));
    expect(told?.tokens).toEqual(logprobs?.tokens.slice(0, told?.tokens.length));
  });

  test("in a chat", async () => {
    const answers = await page.evaluate(async () => {
      const messages = [{ role: "user" as const, content: "Count from one to five." }];
      const body = { messages, temperature: 0, max_tokens: 24 };
      const whole = await model.chat.completions.create(body);
      const stop = whole.choices[0]?.message.content.slice(7, 11) as string;
      return { whole, stop, stopped: await model.chat.completions.create({ ...body, stop }) };
    });
    const text = answers.whole.choices[0]?.message.content ?? "";
    expect(answers.stopped.choices).toMatchObject([
      { message: { content: text.slice(0, text.indexOf(answers.stop)) }, finish_reason: "stop" },
    ]);
  });
});

test.describe("n and seed", () => {
  test("the i-th answer is that of seed + i, and the prompt is computed once", async () => {
    const body = { n: 4, seed: 11, max_tokens: 8, cache_prompt: false, ignore_eos: true };
    const all = await complete(body);
    const [, ...others] = all.choices.map(({ text }) => text);
    expect(all.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(new Set(others).size).toBeGreaterThan(1);
    expect(all.usage).toMatchObject({ prompt_tokens: all.timings.prompt_n, completion_tokens: 32 });
    for (const { index, text } of all.choices) {
      const alone = await complete({ ...body, n: 1, seed: 11 + index });
      expect(alone.choices).toMatchObject([{ index: 0, text }]);
    }
    const { texts, reasons } = await streamed(body);
    expect(texts.map((pieces) => pieces.join(""))).toEqual(all.choices.map(({ text }) => text));
    expect(reasons).toEqual(["length", "length", "length", "length"]);
  });

  test("usage tells what was in the cache", async () => {
    await complete({ max_tokens: 1, cache_prompt: false });
    const again = await complete({ max_tokens: 1 });
    const { prompt_tokens, prompt_tokens_details } = again.usage;
    expect(prompt_tokens_details.cached_tokens).toBe(prompt_tokens - 1);
    const last = await page.evaluate(async (prompt) => {
      const body = { prompt, max_tokens: 1, stream: true as const, stream_options: { include_usage: true } };
      const chunks = [];
      for await (const chunk of await model.completions.create(body)) chunks.push(chunk);
      return chunks.at(-1);
    }, PROMPT);
    expect(last).toMatchObject({ choices: [], usage: again.usage });
  });
});

test.describe("log-probabilities", () => {
  test("are those that `score` gives, whatever the samplers are", async () => {
    const body = {
      max_tokens: 8,
      ignore_eos: true,
      logprobs: 3,
      seed: 5,
      top_k: 30,
      temperature: 1.5,
      presence_penalty: 1,
    };
    const { choices } = await complete({ ...body, stop: "\u{10FFFF}" });
    const { text, logprobs } = choices[0] as Tallow.Completion["choices"][number];
    expect(logprobs?.tokens).toHaveLength(8);
    const scores = await page.evaluate(
      async ([prompt, tokens]) => {
        const ids = [...(await model.tokenize(prompt, { addSpecial: true }))];
        for (const token of tokens) ids.push(...(await model.tokenize(token)));
        const { logprobs, top } = await model.score(ids, { topLogprobs: 3 });
        return { n: ids.length, logprobs: [...logprobs].slice(-8), top: top.slice(-8) };
      },
      [PROMPT, logprobs?.tokens ?? []] as const,
    );
    expect(logprobs?.tokens.join("")).toBe(text);
    for (const [i, logprob] of (logprobs?.token_logprobs ?? []).entries()) {
      // Rounding differs with how many tokens go through together.
      expect(Math.abs(logprob - (scores.logprobs[i] as number))).toBeLessThan(0.1);
      const top = logprobs?.top_logprobs[i] ?? {};
      for (const { text, logprob } of scores.top[i]?.slice(0, 2) ?? [])
        if (text in top) expect(Math.abs((top[text] as number) - logprob)).toBeLessThan(0.1);
    }
  });

  test("in a chat have OpenAI's shape, and come with the pieces of a stream", async () => {
    const { whole, chunks } = await page.evaluate(async () => {
      const messages = [{ role: "user" as const, content: "Say: 🦙é" }];
      const body = { messages, temperature: 0, max_tokens: 12, logprobs: true, top_logprobs: 2 };
      const chunks = [];
      for await (const chunk of await model.chat.completions.create({ ...body, stream: true }))
        chunks.push(chunk);
      return { whole: await model.chat.completions.create(body), chunks };
    });
    const content = whole.choices[0]?.logprobs?.content ?? [];
    expect(content.length).toBeGreaterThan(2);
    const bytes = content.flatMap((token) => token.bytes);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(whole.choices[0]?.message.content);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(token);
      // Greedy: the likeliest is the one.
      expect(top_logprobs).toHaveLength(2);
      expect(top_logprobs[0]).toEqual({ token, logprob, bytes });
      expect(top_logprobs[1]?.logprob).toBeLessThanOrEqual(logprob);
    }
    const told = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
    expect(told.map(({ token }) => token)).toEqual(content.map(({ token }) => token));
  });
});

test.describe("logit_bias", () => {
  test("forbids and forces tokens, and leaves the log-probabilities alone", async () => {
    const [first, second] = (await likeliest()) as [[string, number], [string, number]];
    const greedy = { max_tokens: 1, temperature: 0, logprobs: 1 };
    const banned = await complete({ ...greedy, logit_bias: { [await idOf(first[0])]: -100 } });
    expect(banned.choices[0]?.logprobs?.tokens).toEqual([second[0]]);
    expect(Object.keys(banned.choices[0]?.logprobs?.top_logprobs[0] ?? {})).toContain(first[0]);
    const blue = await idOf(" blue");
    const forced = await complete({ max_tokens: 3, logit_bias: { [blue]: 100 } });
    expect(forced.choices[0]?.text).toBe(" blue blue blue");
  });

  test("of a token that there is not is refused", async () => {
    expect(await refusal({ logit_bias: { 5: 1, 49151: 1, 49152: 1 } })).toBe(
      "invalid_request: `logit_bias` should name tokens below 49152, but one is 49152",
    );
  });
});

test.describe("samplers leave what an oracle leaves", () => {
  test("top_k, top_p, min_p, top_n_sigma, xtc, and their order", async () => {
    const top = (await likeliest()).map(([token, logprob]) => [token, Math.exp(logprob)] as const);
    const p = top.map(([, p]) => p);
    const until = (enough: (total: number) => boolean) => {
      let total = 0;
      return 1 + p.findIndex((p) => enough((total += p)));
    };
    // Of what is left, the first `n` but for those before `from`.
    const cases: [Body, number, number?][] = [
      [{ top_k: 1 }, 1],
      [{ top_k: 4 }, 4],
      [{ top_p: 0 }, 1],
      [{ top_p: 0.3 }, until((total) => total >= 0.3)],
      [{ min_p: 0.4 }, p.filter((other) => other >= 0.4 * (p[0] as number)).length],
      [{ min_p: 1, min_keep: 3 }, 3],
      [{ top_p: 0.01, min_keep: 5 }, 5],
      [{ xtc_probability: 1, xtc_threshold: p[2] as number, top_k: 6 }, 6, 0],
      [{ top_k: 3, temperature: 2 }, 3],
      [{ top_k: 5, min_p: 0.5 }, Math.min(5, p.filter((other) => other >= 0.5 * (p[0] as number)).length)],
    ];
    for (const [body, n, from] of cases) {
      const left = new Set(top.slice(0, n).map(([token]) => token));
      if (from !== undefined) {
        // Renormalised over the six, all at least at the threshold go but the last of them.
        const all = p.slice(0, 6).reduce((sum, p) => sum + p);
        const above = p.slice(0, 6).filter((other) => other / all >= (p[2] as number)).length;
        for (const [token] of top.slice(0, above - 1)) left.delete(token);
      }
      const got = await drawn(body);
      expect(
        [...got].filter((token) => !left.has(token)),
        JSON.stringify(body),
      ).toEqual([]);
      // 128 draws miss a token of a tenth once in 700 000 times.
      const all = top.filter(([token]) => left.has(token)).reduce((sum, [, p]) => sum + p, 0);
      const sure = top.filter(([token, p]) => left.has(token) && p / all > 0.1).map(([token]) => token);
      expect([...got], JSON.stringify(body)).toEqual(expect.arrayContaining(sure));
    }
    // Without any of them it is not so few.
    expect((await drawn({})).size).toBeGreaterThan(10);
  });

  test("typical_p", async () => {
    const top = await likeliest();
    const entropy = await page.evaluate(async (prompt) => {
      const ids = await model.tokenize(`${prompt} the`, { addSpecial: true });
      return (await model.score(ids)).entropies.at(-1) as number;
    }, PROMPT);
    const byTypicality = top.toSorted(([, a], [, b]) => Math.abs(-a - entropy) - Math.abs(-b - entropy));
    // The most typical token may be beyond the likeliest 20, so only that the order is not that of probability.
    const got = await drawn({ typical_p: 0.1 });
    const farthest = byTypicality.at(-1)?.[0] as string;
    expect(Math.abs(-(top[0]?.[1] as number) - entropy)).toBeGreaterThan(0.5);
    expect(got.has(farthest)).toBe(false);
  });

  test("frequency and presence penalties, over the last tokens and the prompt", async () => {
    const prompt = "red red red red blue blue green";
    const top = await likeliest(prompt);
    const tokens = await page.evaluate(async (prompt) => {
      const ids = [...(await model.tokenize(prompt, { addSpecial: true }))];
      return Promise.all(ids.map((id) => model.detokenize([id])));
    }, prompt);
    for (const [frequency_penalty, presence_penalty, repeat_last_n] of [
      [2, 0, 64],
      [0, 2, 64],
      [-2, 0, 64],
      [2, 2, 2],
      [2, 2, 0],
      [1, -2, -1],
    ] as const) {
      const recent = repeat_last_n === -1 ? tokens : tokens.slice(Math.max(0, tokens.length - repeat_last_n));
      const penalized = top.map(([token, logprob]) => {
        const count = repeat_last_n === 0 ? 0 : recent.filter((other) => other === token).length;
        return [token, logprob - count * frequency_penalty - (count > 0 ? presence_penalty : 0)] as const;
      });
      penalized.sort(([, a], [, b]) => b - a);
      const body = { prompt, max_tokens: 1, temperature: 0, logprobs: 0 };
      const answer = await complete({ ...body, frequency_penalty, presence_penalty, repeat_last_n });
      expect(answer.choices[0]?.logprobs?.tokens).toEqual([penalized[0]?.[0]]);
    }
  });

  test("repeat_penalty and DRY keep an answer from going round", async () => {
    const prompt =
      "the cat sat on the mat. the dog lay on the rug. the cat sat on the mat. the dog lay on the";
    const body = { prompt, max_tokens: 1, temperature: 0 };
    expect((await complete(body)).choices[0]?.text).toBe(" rug");
    expect((await complete({ ...body, repeat_penalty: 1.8 })).choices[0]?.text).not.toBe(" rug");
    const dry = { ...body, dry_multiplier: 5 };
    expect((await complete(dry)).choices[0]?.text).not.toBe(" rug");
    // A breaker in between, or a repetition that is short enough, is let be.
    expect((await complete({ ...dry, dry_sequence_breakers: ["the"] })).choices[0]?.text).toBe(" rug");
    expect((await complete({ ...dry, dry_allowed_length: 40 })).choices[0]?.text).toBe(" rug");
    expect((await complete({ ...dry, dry_penalty_last_n: 4 })).choices[0]?.text).toBe(" rug");
  });

  test("mirostat holds the surprise near its target", async () => {
    for (const mirostat of [1, 2] as const) {
      const surprise = async (mirostat_tau: number) => {
        const body = { mirostat, mirostat_tau, seed: 3, max_tokens: 60, logprobs: 0, ignore_eos: true };
        const { choices } = await complete(body);
        const logprobs = choices[0]?.logprobs?.token_logprobs ?? [];
        return -logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length / Math.LN2;
      };
      expect(await surprise(1)).toBeLessThan(await surprise(6));
    }
  });
});

test("a prompt of token ids is the text that they spell", async () => {
  const answers = await page.evaluate(async (prompt) => {
    const body = { temperature: 0, max_tokens: 8 };
    const ids = await model.tokenize(prompt, { addSpecial: true });
    const asText = await model.completions.create({ ...body, prompt });
    const asIds = await model.completions.create({ ...body, prompt: ids });
    return [asText, asIds, await model.completions.create({ ...body, prompt: [...ids] })];
  }, PROMPT);
  const [text, ...others] = answers.map(({ choices }) => choices[0]?.text);
  expect(others).toEqual([text, text]);
  expect(await refusal({ prompt: [1, 2, 49152] })).toBe(
    "invalid_request: the prompt's token ids should be below 49152, but one is 49152",
  );
});

test("a field that is wrong, or not honoured, is refused by name", async () => {
  for (const [body, message] of [
    [{ top_p: 2 }, "`top_p` should be a number in 0..=1, got 2"],
    [{ n: 0 }, "`n` should be an integer in 1..=128, got 0"],
    [{ stop: [""] }, "`stop` should be a non-empty string or an array of such, got an array of 1"],
    [{ echo: true }, "`echo` should be false, got true"],
    [{ suffix: "x" }, '`suffix` should be "", got "x"'],
    [{ best_of: 3 }, "`best_of` should be `n`, 1, since all are returned, got 3"],
    [{ colour: "red" }, "`colour` is not supported in a completion"],
    [
      { dry_multiplier: 1, dry_sequence_breakers: ["x".repeat(41)] },
      "`dry_sequence_breakers` should have 1 to 40 bytes each, but one has 41",
    ],
  ] as const) {
    expect(await refusal(body)).toBe(`invalid_request: ${message}`);
  }
});

test("OpenAI's own client talks to the model in the page", async () => {
  const bundle = await rolldown({ input: "openai", platform: "browser", logLevel: "silent" });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  await page.route("**/test/openai.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: output[0].code }),
  );
  const got = await page.evaluate(async () => {
    const url = new URL("/test/openai.js", location.href).href;
    const { default: Client } = (await import(url)) as { default: typeof OpenAI };
    const client = new Client({
      baseURL: "http://tallow.local/v1",
      apiKey: "none",
      fetch: model.fetch,
      dangerouslyAllowBrowser: true,
    });
    const messages = [{ role: "user" as const, content: "Name three colours." }];
    const body = { model: "local", messages, temperature: 0, max_tokens: 12 };
    const whole = await client.chat.completions.create(body);
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true }))
      text += chunk.choices[0]?.delta.content ?? "";
    const raw = await client.completions.create({
      model: "local",
      prompt: "One, two,",
      max_tokens: 4,
      temperature: 0,
    });
    const refused = await client.chat.completions
      .create({ ...body, temperature: 3 })
      .catch((error: unknown) => error);
    const { status, code, param } = refused as { status: number; code: string; param: string };
    const controller = new AbortController();
    const endless = { model: "local", messages, ignore_eos: true };
    setTimeout(() => controller.abort(), 100);
    const aborted = await client.chat.completions.create(endless, { signal: controller.signal }).then(
      () => "",
      (error: Error) => error.constructor.name,
    );
    const models = (await client.models.list()).data.map(({ id }) => id);
    return { whole, text, raw, refused: { status, code, param }, aborted, models, name: model.info.name };
  });
  expect(got.text).toBe(got.whole.choices[0]?.message.content);
  expect(got.text.length).toBeGreaterThan(10);
  expect(got.raw.choices[0]?.text).toMatch(/three/);
  expect(got.refused).toEqual({ status: 400, code: "invalid_request", param: "temperature" });
  expect(got.aborted).toBe("APIUserAbortError");
  expect(got.models).toEqual([got.name]);
});
