import { describe, expect, test } from "vitest";
import type { ChatCompletionCreateParams, CompletionCreateParams } from "../src/index.js";
import { chatRequest, completionRequest } from "../src/request.js";
import { RULES } from "../src/validate.js";
import { fakeModel, rejection } from "./fake.js";

const messages = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello" },
  { role: "user", content: "Bye" },
];

function chat(body: object): Record<string, unknown> {
  return JSON.parse(chatRequest({ messages, ...body } as ChatCompletionCreateParams)) as Record<
    string,
    unknown
  >;
}

describe("what reaches the engine", () => {
  const now = {
    year: expect.any(Number) as number,
    month: expect.any(Number) as number,
    day: expect.any(Number) as number,
    hour: expect.any(Number) as number,
    minute: expect.any(Number) as number,
    second: expect.any(Number) as number,
  };
  const seed = expect.any(Number) as number;
  const defaults = { n: 1, stop: [], ignore_eos: false, cache_prompt: true, sampler: { seed } };

  test("the defaults", () => {
    expect(chat({})).toEqual({ chat: { messages, add_generation_prompt: true, now }, ...defaults });
    expect(JSON.parse(completionRequest({ prompt: "Once" }))).toEqual({ prompt: "Once", ...defaults });
  });

  test.each([null, undefined])("%s is the default of every field", (nothing) => {
    const { messages: _, ...chatFields } = RULES["a chat completion"];
    const none = (fields: object) => Object.fromEntries(Object.keys(fields).map((field) => [field, nothing]));
    expect(chat(none(chatFields))).toEqual({
      chat: { messages, add_generation_prompt: true, now },
      ...defaults,
    });
    const body = { ...none(RULES["a completion"]), prompt: "Once" } as CompletionCreateParams;
    expect(JSON.parse(completionRequest(body))).toEqual({ prompt: "Once", ...defaults });
  });

  const sampler = {
    temperature: 0.5,
    dynatemp_range: 0.2,
    dynatemp_exponent: 2,
    top_k: 40,
    top_p: 0.9,
    min_p: 0.05,
    typical_p: 0.8,
    top_n_sigma: 1.5,
    xtc_probability: 0.1,
    xtc_threshold: 0.2,
    min_keep: 2,
    repeat_penalty: 1.1,
    frequency_penalty: -2,
    presence_penalty: 2,
    repeat_last_n: -1,
    dry_multiplier: 0.8,
    dry_base: 1.5,
    dry_allowed_length: 3,
    dry_penalty_last_n: 128,
    dry_sequence_breakers: ["a", "b", "c"],
    mirostat: 2,
    mirostat_tau: 4,
    mirostat_eta: 0.2,
    seed: 7,
  };
  const generating = { max_tokens: 3, n: 2, ignore_eos: true, cache_prompt: false };
  const unseen = { model: "any", user: "me", stream: true, stream_options: { include_usage: true } };

  test("every field of a chat completion", () => {
    const tools = [{ type: "function", function: { name: "clock" } }];
    const body = {
      ...sampler,
      ...generating,
      ...unseen,
      stop: ["a", "b", "c"],
      logit_bias: { 5: -100, "17": 1.5, 42: 100 },
      logprobs: true,
      top_logprobs: 20,
      tools,
      template: "{{ x }}",
      chat_template_kwargs: { x: 1 },
      metadata: { a: "b" },
      prompt_cache_key: "k",
      safety_identifier: "s",
      service_tier: "auto",
      store: false,
      modalities: ["text"],
    };
    expect(chat(body)).toEqual({
      chat: {
        messages,
        tools,
        template: "{{ x }}",
        chat_template_kwargs: { x: 1 },
        add_generation_prompt: true,
        now,
      },
      ...generating,
      stop: ["a", "b", "c"],
      logprobs: 20,
      sampler: {
        ...sampler,
        logit_bias: [
          [5, -100],
          [17, 1.5],
          [42, 100],
        ],
      },
    });
    expect(chat({ max_completion_tokens: 4 })).toMatchObject({ max_tokens: 4 });
    expect(chat({ logprobs: true })).toMatchObject({ logprobs: 0 });
    expect(chat({ logprobs: false })).not.toHaveProperty("logprobs");
    expect(chat({ tools, tool_choice: "auto" })).toMatchObject({ chat: { tools } });
    expect(chat({ tools, tool_choice: "none" })).not.toHaveProperty("chat.tools");
  });

  test("every field of a completion", () => {
    const body = {
      ...sampler,
      ...generating,
      ...unseen,
      prompt: "Once",
      stop: "a",
      logprobs: 5,
      best_of: 2,
      echo: false,
      suffix: "",
    };
    expect(JSON.parse(completionRequest(body as CompletionCreateParams))).toEqual({
      prompt: "Once",
      ...generating,
      stop: ["a"],
      logprobs: 5,
      sampler,
    });
  });

  test.each([[[5, 6, 7]], [Uint32Array.of(5, 6, 7)]])("a completion's prompt in tokens, %o", (prompt) => {
    expect(JSON.parse(completionRequest({ prompt }))).toEqual({ ids: [5, 6, 7], ...defaults });
  });

  test("a seed is drawn for each request", () => {
    const seeds = Array.from({ length: 8 }, () => (chat({})["sampler"] as { seed: number }).seed);
    expect(new Set(seeds).size).toBeGreaterThan(1);
  });
});

describe("what is refused", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);

  test.each<[object, string]>([
    [{ temperature: "hot" }, '`temperature` should be a number in 0..=2, got "hot"'],
    [{ temperature: 2.1 }, "`temperature` should be a number in 0..=2, got 2.1"],
    [{ temperature: NaN }, "`temperature` should be a number in 0..=2, got NaN"],
    [{ top_p: -0.1 }, "`top_p` should be a number in 0..=1, got -0.1"],
    [{ top_k: 1.5 }, "`top_k` should be an integer in 0..=4294967295, got 1.5"],
    [{ top_k: -1 }, "`top_k` should be an integer in 0..=4294967295, got -1"],
    [{ seed: 2 ** 53 }, "`seed` should be an integer in 0..=9007199254740991, got 9007199254740992"],
    [{ max_tokens: 0 }, "`max_tokens` should be an integer in 1..=4294967295, got 0"],
    [{ max_tokens: 2 ** 32 }, "`max_tokens` should be an integer in 1..=4294967295, got 4294967296"],
    [
      { max_completion_tokens: "9" },
      '`max_completion_tokens` should be an integer in 1..=4294967295, got "9"',
    ],
    [
      { max_tokens: 1, max_completion_tokens: 1 },
      "`max_tokens` and `max_completion_tokens` mean the same; one of them should be given, got both",
    ],
    [{ ignore_eos: 1 }, "`ignore_eos` should be a boolean, got 1"],
    [{ cache_prompt: "no" }, '`cache_prompt` should be a boolean, got "no"'],
    [{ stream: "yes" }, '`stream` should be a boolean, got "yes"'],
    [{ stream_options: {} }, "`stream_options` should come with `stream: true`"],
    [{ stream: true, stream_options: [] }, "`stream_options` should be an object, got an array of 0"],
    [
      { stream: true, stream_options: { include_usage: 1 } },
      "`stream_options.include_usage` should be a boolean, got 1",
    ],
    [
      { stream: true, stream_options: { include_obfuscation: true } },
      "`stream_options.include_obfuscation` should be false, got true",
    ],
    [
      { stream: true, stream_options: { heartbeat: true } },
      "`stream_options.heartbeat` is not supported in a chat completion; what is: `stream_options.include_usage`, `stream_options.include_obfuscation`",
    ],
    [{ min_p: 1.1 }, "`min_p` should be a number in 0..=1, got 1.1"],
    [{ typical_p: -1 }, "`typical_p` should be a number in 0..=1, got -1"],
    [{ top_n_sigma: -1 }, "`top_n_sigma` should be a number of 0 or more, got -1"],
    [{ xtc_probability: 2 }, "`xtc_probability` should be a number in 0..=1, got 2"],
    [{ xtc_threshold: "1" }, '`xtc_threshold` should be a number in 0..=1, got "1"'],
    [{ min_keep: -1 }, "`min_keep` should be an integer in 0..=4294967295, got -1"],
    [{ dynatemp_range: -1 }, "`dynatemp_range` should be a number of 0 or more, got -1"],
    [{ dynatemp_exponent: Infinity }, "`dynatemp_exponent` should be a number of 0 or more, got Infinity"],
    [{ repeat_penalty: 0 }, "`repeat_penalty` should be a number above 0, got 0"],
    [{ frequency_penalty: 2.1 }, "`frequency_penalty` should be a number in -2..=2, got 2.1"],
    [{ presence_penalty: -3 }, "`presence_penalty` should be a number in -2..=2, got -3"],
    [{ repeat_last_n: -2 }, "`repeat_last_n` should be an integer in -1..=2147483647, got -2"],
    [{ dry_multiplier: -1 }, "`dry_multiplier` should be a number of 0 or more, got -1"],
    [{ dry_base: 0.5 }, "`dry_base` should be a number of 1 or more, got 0.5"],
    [{ dry_allowed_length: 1.5 }, "`dry_allowed_length` should be an integer in 0..=4294967295, got 1.5"],
    [{ dry_penalty_last_n: -2 }, "`dry_penalty_last_n` should be an integer in -1..=2147483647, got -2"],
    [
      { dry_sequence_breakers: ["a", "b", ""] },
      "`dry_sequence_breakers` should be an array of non-empty strings, got an array of 3",
    ],
    [{ mirostat: 3 }, "`mirostat` should be 0 or 1 or 2, got 3"],
    [{ mirostat_tau: -1 }, "`mirostat_tau` should be a number of 0 or more, got -1"],
    [{ mirostat_eta: null, mirostat: true }, "`mirostat` should be 0 or 1 or 2, got true"],
    [{ n: 0 }, "`n` should be an integer in 1..=128, got 0"],
    [{ n: 129 }, "`n` should be an integer in 1..=128, got 129"],
    [{ stop: "" }, '`stop` should be a non-empty string or an array of such, got ""'],
    [{ stop: ["a", "", "b"] }, "`stop` should be a non-empty string or an array of such, got an array of 3"],
    ...[{ a: 1 }, { "-1": 1 }, { 5: 101 }, { 5: "1" }, { 5: null }].map((logit_bias): [object, string] => [
      { logit_bias },
      "`logit_bias` should be an object with token ids as keys and numbers in -100..=100, got an object",
    ]),
    [{ logprobs: 1 }, "`logprobs` should be a boolean, got 1"],
    [{ logprobs: true, top_logprobs: 21 }, "`top_logprobs` should be an integer in 0..=20, got 21"],
    [{ top_logprobs: 3 }, "`top_logprobs` should come with `logprobs: true`"],
    [{ tool_choice: "required" }, '`tool_choice` should be "auto" or "none", got "required"'],
    [{ store: true }, "`store` should be false, got true"],
    [{ service_tier: "flex" }, '`service_tier` should be "auto" or "default", got "flex"'],
    [{ modalities: ["text", "audio"] }, '`modalities` should be an array of "text", got an array of 2'],
    [{ model: 3 }, "`model` should be a string, got 3"],
    [{ template: () => "" }, "`template` should be a string, got a function"],
    [{ tools: {} }, "`tools` should be an array of objects, got an object"],
    [{ tools: cyclic, template: "" }, "`tools` should be an array of objects, got an array of 1"],
    [{ tools: [{ cyclic }] }, "`messages`, `tools` and what else the template is given should be JSON"],
    [{ messages: [] }, "`messages` should be a non-empty array of objects with a `role`, got an array of 0"],
    [{ messages: "Hi" }, '`messages` should be a non-empty array of objects with a `role`, got "Hi"'],
    [
      { messages: [...messages, { content: "" }] },
      "`messages` should be a non-empty array of objects with a `role`, got an array of 4",
    ],
    [{ messages: undefined }, "`messages` should be a non-empty array of objects with a `role`, got nothing"],
  ])("%j", (body, message) => {
    expect(() => chat(body)).toThrowError(
      expect.objectContaining({ code: "invalid_request", message }) as Error,
    );
  });

  test.each(["reasoning_effort", "functions", "prompt", "constructor", "__proto__x"])(
    "the field %s, by name",
    (field) => {
      expect(() => chat({ [field]: 1 })).toThrowError(
        new RegExp(`^\`${field}\` is not supported in a chat completion$`),
      );
    },
  );

  test.each([
    [{}, "`prompt` should be a string or an array of token ids, got nothing"],
    [{ prompt: ["a", "b", "c"] }, "`prompt` should be a string or an array of token ids, got an array of 3"],
    [{ prompt: [1, 2, -3] }, "`prompt` should be a string or an array of token ids, got an array of 3"],
    [{ prompt: "a", messages }, "`messages` is not supported in a completion"],
    [{ prompt: "a", top_logprobs: 3 }, "`top_logprobs` is not supported in a completion"],
    [{ prompt: "a", logprobs: true }, "`logprobs` should be an integer in 0..=20, got true"],
    [{ prompt: "a", echo: true }, "`echo` should be false, got true"],
    [{ prompt: "a", suffix: "b" }, '`suffix` should be "", got "b"'],
    [{ prompt: "a", n: 2, best_of: 3 }, "`best_of` should be `n`, 2, since all are returned, got 3"],
    [null, "a completion should be an object, got null"],
    [[], "a completion should be an object, got an array of 0"],
    [new Map(), "`prompt` should be a string or an array of token ids, got nothing"],
  ])("in a completion: %j", (body, message) => {
    expect(() => completionRequest(body as CompletionCreateParams)).toThrowError(message);
  });

  test("a refused call rejects; it does not throw", async () => {
    const { model } = await fakeModel();
    const long = "x".repeat(1000);
    const calls: [Promise<unknown>, string | RegExp][] = [
      [model.chat.completions.create({ messages: [] }), /^`messages`/],
      [
        model.completions.create({ prompt: "a" }, { timeout: 3 } as object),
        /^`timeout` is not supported in the options/,
      ],
      [model.tokenize(3 as unknown as string), "`text` should be a string, got 3"],
      [model.tokenize("a", { addSpecial: 1 } as object), "`addSpecial` should be a boolean, got 1"],
      [
        model.tokenize("a", null as never),
        "the options among `tokenize`'s arguments should be an object, got null",
      ],
      [
        model.tokenize("a", 5 as never),
        "the options among `tokenize`'s arguments should be an object, got 5",
      ],
      [model.detokenize([1, -1, 2]), "`ids` should be an array of token ids, got an array of 3"],
      [model.detokenize([1, 2 ** 32, 2]), "`ids` should be an array of token ids, got an array of 3"],
      [model.detokenize(long as never), `\`ids\` should be an array of token ids, got "${"x".repeat(60)}…"`],
      [model.detokenize(new Date(0) as never), "`ids` should be an array of token ids, got a Date"],
      [model.applyChatTemplate([]), /^`messages` should be/],
      [
        model.applyChatTemplate(messages as never, { template: 3 } as object),
        "`template` should be a string, got 3",
      ],
    ];
    for (const [call, message] of calls) {
      expect(await rejection(call)).toMatchObject({
        code: "invalid_request",
        message: expect.stringMatching(message) as string,
      });
    }
  });
});
