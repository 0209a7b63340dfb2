import { describe, expect, test } from "vitest";
import type { ChatCompletionCreateParams, CompletionCreateParams } from "../src/index.js";
import { chatRequest, completionRequest } from "../src/request.js";
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
  const defaults = {
    temperature: 1,
    top_p: 1,
    top_k: 0,
    seed: expect.any(Number) as number,
    ignore_eos: false,
    cache_prompt: true,
  };

  test("the defaults", () => {
    expect(chat({})).toEqual({ chat: { messages, add_generation_prompt: true, now }, ...defaults });
    expect(JSON.parse(completionRequest({ prompt: "Once" }))).toEqual({ prompt: "Once", ...defaults });
  });

  test.each([null, undefined])("%s is the default of every field", (nothing) => {
    const fields = [
      "max_tokens",
      "max_completion_tokens",
      "temperature",
      "top_p",
      "top_k",
      "seed",
      "ignore_eos",
    ];
    const others = [
      "cache_prompt",
      "tools",
      "template",
      "chat_template_kwargs",
      "model",
      "stream",
      "stream_options",
    ];
    const body = Object.fromEntries([...fields, ...others].map((field) => [field, nothing]));
    expect(chat(body)).toEqual({ chat: { messages, add_generation_prompt: true, now }, ...defaults });
  });

  test("every field", () => {
    const tools = [{ type: "function", function: { name: "clock" } }];
    const fields = {
      max_tokens: 3,
      temperature: 0,
      top_p: 0.5,
      top_k: 40,
      seed: 7,
      ignore_eos: true,
      cache_prompt: false,
    };
    const body = {
      model: "any",
      ...fields,
      tools,
      template: "{{ x }}",
      stream: true,
      stream_options: { include_usage: true },
    };
    expect(chat(body)).toEqual({
      chat: { messages, tools, template: "{{ x }}", add_generation_prompt: true, now },
      ...fields,
    });
    expect(chat({ max_completion_tokens: 4 })).toMatchObject({ max_tokens: 4 });
  });

  test("a seed is drawn for each request", () => {
    const seeds = Array.from({ length: 8 }, () => chat({})["seed"]);
    expect(new Set(seeds).size).toBeGreaterThan(1);
  });
});

describe("what is refused", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);

  test.each([
    [{ temperature: "hot" }, '`temperature` should be a number in 0..=2, got "hot"'],
    [{ temperature: 2.1 }, "`temperature` should be a number in 0..=2, got 2.1"],
    [{ temperature: NaN }, "`temperature` should be a number in 0..=2, got NaN"],
    [{ top_p: -0.1 }, "`top_p` should be a number in 0..=1, got -0.1"],
    [{ top_k: 1.5 }, "`top_k` should be an integer of 0 or more, got 1.5"],
    [{ top_k: -1 }, "`top_k` should be an integer of 0 or more, got -1"],
    [{ seed: 2 ** 53 }, "`seed` should be an integer of 0 or more, got 9007199254740992"],
    [{ max_tokens: 0 }, "`max_tokens` should be an integer of 1 or more, got 0"],
    [{ max_tokens: 2 ** 32 }, "`max_tokens` should be an integer of 1 or more, got 4294967296"],
    [{ max_completion_tokens: "9" }, '`max_completion_tokens` should be an integer of 1 or more, got "9"'],
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
      "`stream_options.include_obfuscation` is not supported in a chat completion; what is: `stream_options.include_usage`",
    ],
    [{ model: 3 }, "`model` should be a string, got 3"],
    [{ template: () => "" }, "`template` should be a string, got a function"],
    [{ tools: {} }, "`tools` should be an array of objects, got an object"],
    [{ tools: cyclic, template: "" }, "`tools` should be an array of objects, got an array of 1"],
    [{ tools: [{ cyclic }] }, "`messages` and `tools` should be JSON"],
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

  test.each(["stop", "n", "logprobs", "response_format", "min_p", "prompt", "constructor", "__proto__x"])(
    "the field %s, by name",
    (field) => {
      expect(() => chat({ [field]: 1 })).toThrowError(
        new RegExp(
          `^\`${field}\` is not supported in a chat completion; what is: \`model\`, \`max_tokens\`, `,
        ),
      );
    },
  );

  test.each([
    [{}, "`prompt` should be a string, got nothing"],
    [{ prompt: ["a", "b", "c"] }, "`prompt` should be a string, got an array of 3"],
    [{ prompt: "a", messages }, /^`messages` is not supported in a completion; /],
    [
      { prompt: "a", max_completion_tokens: 3 },
      /^`max_completion_tokens` is not supported in a completion; /,
    ],
    [null, "a completion should be an object, got null"],
    [[], "a completion should be an object, got an array of 0"],
    [new Map(), "`prompt` should be a string, got nothing"],
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
