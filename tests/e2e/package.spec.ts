/** The package's public API in Chromium, with the real model, on both wasm modules. */

import { expect, test, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { goldenCases } from "./golden.js";
import { serve, type TestServer } from "./server.js";

declare global {
  // What package.html puts into the page, and what a test leaves there for its next step.
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";
const TINY = readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));

interface TokenizeGolden {
  cases: { text: string; ids: number[]; ids_parse_special: number[] }[];
}
const tokenizeGolden: TokenizeGolden = JSON.parse(
  readFileSync(new URL("../golden/smollm2-135m-instruct-q4_1.tokenize.json", import.meta.url), "utf8"),
);

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openPackage(page: Page, url = server.url) {
  await page.goto(`${url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
}

/** Loads `source` on the module named, which must then be the one that runs. */
async function load(page: Page, module: Tallow.WasmModuleName, source = MODEL) {
  const ran = await page.evaluate(
    async ([source, module]) => {
      globalThis.model = await tallow.loadModel(source, { wasmUrl: `/tallow/wasm/${module}.wasm` });
      return globalThis.model.info.module;
    },
    [source, module] as const,
  );
  console.log(`module: ${ran}`);
  expect(ran).toBe(module);
}

for (const module of ["relaxed", "simd128"] as const) {
  test.describe(`module ${module}`, () => {
    test("tokenizes as llama.cpp does", async ({ page }) => {
      await openPackage(page);
      await load(page, module);
      const got = await page.evaluate(
        async (texts) => {
          const answers = [];
          for (const text of texts) {
            const ids = await model.tokenize(text);
            const parsed = await model.tokenize(text, { parseSpecial: true });
            answers.push({ ids: [...ids], parsed: [...parsed], back: await model.detokenize(ids) });
          }
          return answers;
        },
        tokenizeGolden.cases.map(({ text }) => text),
      );
      expect(got).toEqual(
        tokenizeGolden.cases.map(({ text, ids, ids_parse_special }) => ({
          ids,
          parsed: ids_parse_special,
          back: text,
        })),
      );
    });

    test("draws the golden greedy tokens", async ({ page }) => {
      await openPackage(page);
      await load(page, module);
      for (const { prompt, promptIds, certain } of goldenCases.filter(({ certain }) => certain.length > 0)) {
        const got = await page.evaluate(
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
    });
  });
}

test("the browser's best module is chosen", async ({ page }) => {
  await openPackage(page);
  const chosen = await page.evaluate(async (model) => {
    const loaded = await tallow.loadModel(model);
    const { module } = loaded.info;
    await loaded.dispose();
    return { module, capabilities: tallow.capabilities() };
  }, MODEL);
  expect(chosen).toMatchObject({
    module: "relaxed",
    capabilities: {
      module: "relaxed",
      relaxedDot: expect.stringMatching(/^(i16x8|i32x4)$/),
      crossOriginIsolated: true,
    },
  });
});

test("the wasm takes the dot product that `capabilities` tells, and both give the same numbers", async ({
  context,
}) => {
  // Lets the engine worker answer what its wasm takes.
  const hook = `if (name !== "tallow-compute") {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...args) => {
      const instance = await instantiate(...args);
      const channel = new BroadcastChannel("takesI32x4");
      channel.onmessage = () => channel.postMessage(Boolean(instance.exports.takesI32x4()));
      return instance;
    };
  }`;
  await context.route("**/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: hook + (await response.text()) });
  });

  /** What is told and what is taken where the probe's dot is `product`, or this machine's own. */
  async function run(product?: number) {
    const page = await context.newPage();
    await page.addInitScript((product) => {
      if (product === undefined) return;
      const { Instance } = WebAssembly;
      WebAssembly.Instance = function (module: WebAssembly.Module) {
        return { exports: { ...new Instance(module).exports, dot: () => product } };
      } as never;
    }, product);
    await openPackage(page);
    const seen = await page.evaluate(
      async ([bytes, text]) => {
        const model = await tallow.loadModel(Uint8Array.from(bytes).buffer);
        const channel = new BroadcastChannel("takesI32x4");
        const taken = new Promise<unknown>((resolve) => (channel.onmessage = ({ data }) => resolve(data)));
        channel.postMessage("which");
        return {
          module: model.info.module,
          told: tallow.capabilities().relaxedDot,
          takesI32x4: await taken,
          logprobs: [...(await model.score(text)).logprobs].slice(1),
        };
      },
      [[...TINY], "A candle burns. ".repeat(4)] as const,
    );
    await page.close();
    console.log(`dot product ${product}: ${seen.told}`);
    return seen;
  }

  const own = await run();
  expect(own).toMatchObject({ module: "relaxed", takesI32x4: own.told === "i32x4" });
  // As x64 answers without VNNI and with it.
  const pairs = await run(2 * 32767);
  expect(pairs).toMatchObject({ module: "relaxed", told: "i16x8", takesI32x4: false });
  const fours = await run(4 * 127 * 255);
  expect(fours).toMatchObject({ module: "relaxed", told: "i32x4", takesI32x4: true });
  expect(own.logprobs.length).toBeGreaterThan(20);
  for (const { logprobs } of [pairs, fours]) expect(logprobs).toEqual(own.logprobs);
});

test("streams in OpenAI's shape, stops on abort and on leaving the loop, and goes on after", async ({
  page,
}) => {
  await openPackage(page);
  await load(page, "relaxed");
  const seen = await page.evaluate(async () => {
    const messages = [{ role: "user" as const, content: "Name three colours." }];
    const body = { messages, temperature: 0, stream: true as const };

    const whole = [];
    for await (const chunk of await model.chat.completions.create({ ...body, max_tokens: 12 }))
      whole.push(chunk);

    const controller = new AbortController();
    const reason = await (async () => {
      for await (const chunk of await model.chat.completions.create(body, { signal: controller.signal })) {
        if (chunk.choices[0]?.delta.content) controller.abort();
      }
    })().catch((error: Error) => error.name);

    let left = 0;
    for await (const chunk of await model.chat.completions.create(body)) {
      if (chunk.choices[0]?.delta.content && ++left === 2) break;
    }
    const answer = await model.chat.completions.create({ messages, temperature: 0, max_tokens: 12 });
    return { whole, reason, left, answer };
  });
  const text = seen.whole.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  expect(seen.whole[0]?.choices[0]?.delta.role).toBe("assistant");
  expect(seen.whole.at(-1)?.choices[0]?.finish_reason).toBe("length");
  expect(seen.whole.at(-1)).toHaveProperty("timings.predicted_n", 12);
  expect(seen.reason).toBe("AbortError");
  expect(seen.left).toBe(2);
  expect(seen.answer.choices[0]?.message.content).toBe(text);
  // All but the prompt's last token were still in the cache.
  expect(seen.answer.timings).toMatchObject({ prompt_n: 1, cache_n: seen.answer.usage.prompt_tokens - 1 });
});

test("a seed decides an answer at temperature 1", async ({ page }) => {
  await openPackage(page);
  await load(page, "relaxed");
  const answers = await page.evaluate(async () => {
    const ask = async (seed: number) => {
      const body = { prompt: "The weather today", max_tokens: 12, top_k: 50, top_p: 0.95, seed };
      return (await model.completions.create(body)).choices[0]?.text;
    };
    return [await ask(1), await ask(1), await ask(2)];
  });
  expect(answers[0]).toBe(answers[1]);
  expect(answers[0]).not.toBe(answers[2]);
});

test("templates take variables, and text that is no Unicode does no harm", async ({ page }) => {
  await openPackage(page);
  await load(page, "relaxed");
  const prompts = await page.evaluate(async () => {
    const half = "a\ud83d";
    const messages = [{ role: "user" as const, content: `Hi ${half}` }];
    const template = "{{ messages[0].content }}|{{ mood }}|{{ bos_token }}";
    const parts = [
      { role: "user" as const, content: ["Hi ", half].map((text) => ({ type: "text" as const, text })) },
    ];
    return {
      own: await model.applyChatTemplate(messages),
      parts: await model.applyChatTemplate(parts),
      replaced: await model.applyChatTemplate(messages, { template, variables: { mood: "good" } }),
    };
  });
  expect(prompts.own).toBe(
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
      "<|im_start|>user\nHi a\ufffd<|im_end|>\n<|im_start|>assistant\n",
  );
  expect(prompts.parts).toBe(prompts.own);
  expect(prompts.replaced).toBe("Hi a\ufffd|good|<|im_start|>");
});

test("what is wrong with a request is named", async ({ page }) => {
  await openPackage(page);
  await load(page, "relaxed");
  const errors = await page.evaluate(async () => {
    const messages = [{ role: "user" as const, content: "Hi" }];
    const failing = [
      () => model.chat.completions.create({ messages, temperature: -1 }),
      () => model.chat.completions.create({ messages, logprobs: 1 } as never),
      () => model.chat.completions.create({ messages: [{ role: "user", content: 5 }] } as never),
      () =>
        model.chat.completions.create({
          messages: [{ role: "user", content: [{ type: "image_url" }] }],
        } as never),
      () => model.completions.create({ prompt: "word ".repeat(5000) }),
      () => model.applyChatTemplate(messages, { template: "{{ raise_exception('no system role') }}" }),
      () => model.applyChatTemplate(messages, { template: "{% for i in range(10**12) %}x{% endfor %}" }),
      () => model.detokenize(Uint32Array.of(49_152)),
    ];
    const codes = [];
    for (const fail of failing) {
      codes.push(
        await (fail() as Promise<unknown>).then(String, ({ code, message }) => `${code}: ${message}`),
      );
    }
    return codes;
  });
  const expected = [
    /^invalid_request: .*`temperature`.*-1/,
    /^invalid_request: .*`logprobs`/,
    /^invalid_request: `messages\[0\]\.content` should be a text/,
    /^invalid_request: `messages\[0\]\.content\[0\]\.type` should be `text`, got `image_url`/,
    /^context_length_exceeded: .*\b4096\b/,
    /^template_error: .*no system role/,
    /^template_error: /,
    /^invalid_request: .*49152/,
  ];
  expect(errors).toHaveLength(expected.length);
  for (const [i, pattern] of expected.entries()) expect(errors[i]).toMatch(pattern);
});

test("files, blobs and buffers load; several models live side by side; dispose ends them", async ({
  page,
}) => {
  await openPackage(page);
  const seen = await page.evaluate(
    async (bytes) => {
      const buffer = Uint8Array.from(bytes).buffer;
      const file = new File([buffer], "tiny.gguf");
      const models = [];
      for (const source of [buffer, new Blob([buffer]), file]) models.push(await tallow.loadModel(source));
      const texts = [];
      for (const model of models) {
        const answer = await model.completions.create({
          prompt: "abc",
          max_tokens: 4,
          temperature: 0,
          ignore_eos: true,
        });
        texts.push(answer.choices[0]?.text);
        await model.dispose();
      }
      const after = await models[0]?.tokenize("abc").catch(({ code }) => code);
      return { texts, after, info: models[0]?.info };
    },
    [...TINY],
  );
  expect(new Set(seen.texts).size).toBe(1);
  expect(seen.after).toBe("worker_lost");
  expect(seen.info).toMatchObject({ architecture: "llama", quantization: { Q4_0: expect.any(Number) } });
});

test("progress only grows and ends complete", async ({ page }) => {
  await openPackage(page);
  const reports = await page.evaluate(async (source) => {
    const reports: Tallow.LoadProgress[] = [];
    const model = await tallow.loadModel(source, { onProgress: (progress) => reports.push(progress) });
    await model.dispose();
    return reports;
  }, MODEL);
  const loaded = reports.map(({ loaded }) => loaded);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(reports.at(-1)).toMatchObject({ loaded: 98_362_432, total: 98_362_432 });
});

test("files that are no model are refused by name", async ({ page }) => {
  await openPackage(page);
  const cases: [name: string, bytes: number[], expected: RegExp][] = [
    ["a page", [...Buffer.from("<!doctype html><title>404</title>")], /^invalid_model: .*GGUF/],
    ["an empty file", [], /^invalid_model: /],
    ["a cut file", [...TINY.subarray(0, 300_000)], /^invalid_model: .*tensor `/],
    [
      "another version",
      [...TINY.subarray(0, 4), 9, 0, 0, 0, ...TINY.subarray(8)],
      /^unsupported_model: .*\b9\b/,
    ],
  ];
  for (const [name, bytes, expected] of cases) {
    const error = await page.evaluate(
      async (bytes) =>
        tallow
          .loadModel(new Blob([Uint8Array.from(bytes)]))
          .then(String, ({ code, message }) => `${code}: ${message}`),
      bytes,
    );
    expect(error, name).toMatch(expected);
  }
});

test("a missing file and an aborted load are told apart", async ({ page }) => {
  await openPackage(page);
  const seen = await page.evaluate(async (source) => {
    const missing = await tallow
      .loadModel("/models/none.gguf")
      .then(String, ({ code, message }) => `${code}: ${message}`);
    const controller = new AbortController();
    const aborted = await tallow
      .loadModel(source, { signal: controller.signal, onProgress: () => controller.abort() })
      .then(String, ({ name }) => name);
    return { missing, aborted };
  }, MODEL);
  expect(seen.missing).toMatch(/^download_failed: .*models\/none\.gguf.*404/);
  expect(seen.aborted).toBe("AbortError");
});

test("runs where the page is not cross-origin isolated", async ({ page }) => {
  await using plain = await serve({ isolation: false });
  await openPackage(page, plain.url);
  await load(page, "relaxed");
  const text = await page.evaluate(async () => {
    const answer = await model.completions.create({
      prompt: "The capital of France is",
      temperature: 0,
      max_tokens: 1,
    });
    return { text: answer.choices[0]?.text, isolated: crossOriginIsolated };
  });
  expect(text).toEqual({ text: " Paris", isolated: false });
});
