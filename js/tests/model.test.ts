import { describe, expect, test, vi } from "vitest";
import type { ChatCompletionChunk, ChatCompletionMessageParam, CompletionChunk } from "../src/index.js";
import { fakeModel, PREFILL, rejection, wasmError, type FakeWorker } from "./fake.js";

const MESSAGES: ChatCompletionMessageParam[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello" },
  { role: "user", content: "one two three" },
];

const TIMINGS = { prompt_n: 4, prompt_ms: 20, predicted_n: 3, predicted_ms: 10, cache_n: 2 };
const USAGE = {
  prompt_tokens: 6,
  completion_tokens: 3,
  total_tokens: 9,
  prompt_tokens_details: { cached_tokens: 2 },
};

async function collect<T>(chunks: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

function textOf(chunks: (ChatCompletionChunk | CompletionChunk)[]): string {
  const choices = chunks.flatMap(
    (chunk): (ChatCompletionChunk | CompletionChunk)["choices"][number][] => chunk.choices,
  );
  return choices.map((choice) => ("text" in choice ? choice.text : (choice.delta.content ?? ""))).join("|");
}

describe("answers have OpenAI's shapes", () => {
  test("a chat completion", async () => {
    const { model } = await fakeModel();
    const before = Math.floor(Date.now() / 1000);
    const completion = await model.chat.completions.create({ messages: MESSAGES });
    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-\w{16,}$/) as string,
      object: "chat.completion",
      created: expect.any(Number) as number,
      model: "Fake 3B",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "onetwothree", refusal: null },
          finish_reason: "stop",
          logprobs: null,
        },
      ],
      usage: USAGE,
      timings: TIMINGS,
    });
    expect(completion.created).toBeGreaterThanOrEqual(before);
    expect(completion.created).toBeLessThanOrEqual(Date.now() / 1000);
  });

  test("a completion, cut at max_tokens", async () => {
    const { model } = await fakeModel();
    expect(await model.completions.create({ prompt: "one two three four", max_tokens: 3 })).toMatchObject({
      id: expect.stringMatching(/^cmpl-/) as string,
      object: "text_completion",
      model: "Fake 3B",
      choices: [{ index: 0, text: "onetwothree", finish_reason: "length", logprobs: null }],
      usage: USAGE,
      timings: TIMINGS,
    });
  });

  test("chat completion chunks", async () => {
    const { model } = await fakeModel();
    const chunks = await collect(await model.chat.completions.create({ messages: MESSAGES, stream: true }));
    const { id, created } = chunks[0] ?? {};
    const head = { id, object: "chat.completion.chunk", created, model: "Fake 3B" };
    const choice = (delta: object, finish_reason: string | null = null) => ({
      choices: [{ index: 0, delta, finish_reason, logprobs: null }],
    });
    expect(id).toMatch(/^chatcmpl-\w{16,}$/);
    expect(chunks).toEqual([
      { ...head, ...choice({ role: "assistant", content: "" }) },
      { ...head, ...choice({ content: "one" }) },
      { ...head, ...choice({ content: "two" }) },
      { ...head, ...choice({ content: "three" }) },
      { ...head, ...choice({}, "stop"), timings: TIMINGS },
    ]);
  });

  test("completion chunks, with usage", async () => {
    const { model } = await fakeModel();
    const chunks = await collect(
      await model.completions.create({
        prompt: "one two three",
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    const { id, created } = chunks[0] ?? {};
    const head = { id, object: "text_completion", created, model: "Fake 3B", usage: null };
    const choice = (text: string, finish_reason: string | null = null) => ({
      choices: [{ index: 0, text, finish_reason, logprobs: null }],
    });
    expect(chunks).toEqual([
      { ...head, ...choice("one") },
      { ...head, ...choice("two") },
      { ...head, ...choice("three") },
      { ...head, ...choice("", "stop") },
      { ...head, choices: [], usage: USAGE, timings: TIMINGS },
    ]);
  });
});

describe("several answers", () => {
  const generate = { n: 3, max_tokens: 2, logprobs: true, top_logprobs: 2 };
  const token = (token: string, choice: number) => ({
    token,
    logprob: -1 - choice,
    bytes: [...new TextEncoder().encode(token)],
    top_logprobs: [
      { token: "top0", logprob: -1, bytes: [116, 111, 112, 48] },
      { token: "top1", logprob: -1.5, bytes: [116, 111, 112, 49] },
    ],
  });

  test("in one piece, with log-probabilities", async () => {
    const { model } = await fakeModel();
    const { choices, usage } = await model.chat.completions.create({ messages: MESSAGES, ...generate });
    expect(choices).toEqual(
      [0, 1, 2].map((index) => ({
        index,
        message: { role: "assistant", content: "onetwo", refusal: null },
        finish_reason: "length",
        logprobs: { content: [token("one", index), token("two", index)], refusal: null },
      })),
    );
    expect(usage).toEqual({ ...USAGE, completion_tokens: 6, total_tokens: 12 });
  });

  test("streamed, one after the other", async () => {
    const { model } = await fakeModel();
    const body = { messages: MESSAGES, ...generate, stream: true as const };
    const chunks = await collect(await model.chat.completions.create(body));
    expect(chunks.map(({ choices }) => choices)).toEqual(
      [0, 1, 2].flatMap((index) => [
        [{ index, delta: { role: "assistant", content: "" }, finish_reason: null, logprobs: null }],
        ...["one", "two"].map((content) => [
          {
            index,
            delta: { content },
            finish_reason: null,
            logprobs: { content: [token(content, index)], refusal: null },
          },
        ]),
        [{ index, delta: {}, finish_reason: "length", logprobs: null }],
      ]),
    );
    expect(chunks.map((chunk) => "timings" in chunk)).toEqual([...Array<boolean>(11).fill(false), true]);
  });

  test("of raw text, in OpenAI's older shape", async () => {
    const { model } = await fakeModel();
    const body = { prompt: "one zwölf \u{1F999} three", n: 2, logprobs: 1 };
    const { choices } = await model.completions.create(body);
    const tokens = ["one", "zwölf", "\u{1F999}", "three"];
    const logprobs = (index: number) => ({
      tokens,
      token_logprobs: tokens.map(() => -1 - index),
      top_logprobs: tokens.map((token) => ({ [token]: -1 - index, top0: -1 })),
      text_offset: [0, 3, 8, 10],
    });
    expect(choices).toEqual(
      [0, 1].map((index) => ({
        index,
        text: tokens.join(""),
        finish_reason: "stop",
        logprobs: logprobs(index),
      })),
    );

    const streamed = await collect(await model.completions.create({ ...body, stream: true }));
    const ofSecond = streamed.flatMap(({ choices }) => choices.filter(({ index }) => index === 1));
    expect(ofSecond.map(({ text }) => text)).toEqual([...tokens, ""]);
    expect(ofSecond.flatMap(({ logprobs }) => logprobs?.text_offset ?? [])).toEqual([0, 3, 8, 10]);
    expect(ofSecond.at(-1)).toEqual({ index: 1, text: "", finish_reason: "stop", logprobs: null });
  });

  test("a token that is no text is spelled by its bytes", async () => {
    const { model, fakes } = await fakeModel();
    fakes.bytesOf = (token) =>
      token === "half" ? [0xf0, 0x9f] : token === "rest" ? [0xa6, 0x99] : undefined;
    const { choices } = await model.completions.create({ prompt: "half rest after", logprobs: 0 });
    expect(choices[0]?.logprobs).toEqual({
      tokens: ["bytes:\\xf0\\x9f", "bytes:\\xa6\\x99", "after"],
      token_logprobs: [-1, -1, -1],
      top_logprobs: [{ "bytes:\\xf0\\x9f": -1 }, { "bytes:\\xa6\\x99": -1 }, { after: -1 }],
      text_offset: [0, 0, 2],
    });
  });
});

describe("the other methods", () => {
  test("tokenize and detokenize", async () => {
    const { model } = await fakeModel();
    expect(await model.tokenize("aé")).toEqual(Uint32Array.of(97, 233));
    expect(await model.tokenize("a", { addSpecial: true, parseSpecial: true })).toEqual(
      Uint32Array.of(1, 2, 97),
    );
    const ids = Uint32Array.of(97, 233);
    expect(await model.detokenize(ids)).toBe("aé");
    expect(await model.detokenize([97, 233])).toBe("aé");
    expect(ids).toEqual(Uint32Array.of(97, 233));
  });

  test("applyChatTemplate", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date(2026, 10, 23, 9, 5, 7) });
    const { model } = await fakeModel();
    const now = { year: 2026, month: 11, day: 23, hour: 9, minute: 5, second: 7 };
    expect(JSON.parse(await model.applyChatTemplate(MESSAGES))).toEqual({
      messages: MESSAGES,
      add_generation_prompt: true,
      now,
    });
    const tools = [{ type: "function" as const, function: { name: "clock" } }];
    const variables = { enable_thinking: false };
    const options = { tools, addGenerationPrompt: false, template: "{{ messages }}", variables };
    expect(JSON.parse(await model.applyChatTemplate(MESSAGES, options))).toEqual({
      messages: MESSAGES,
      tools,
      add_generation_prompt: false,
      template: "{{ messages }}",
      chat_template_kwargs: variables,
      now,
    });
    vi.useRealTimers();
  });

  test("an error of the engine keeps code and message, and the model lives on", async () => {
    const { model } = await fakeModel();
    expect(await rejection(model.detokenize([0]))).toMatchObject({
      name: "TallowError",
      code: "invalid_request",
      message: "`ids[0]` is no token",
    });
    expect(await model.detokenize([97])).toBe("a");
  });

  test("are answered while a generation runs", async () => {
    const { model, runs } = await fakeModel();
    const stream = await model.completions.create({ prompt: "endless", stream: true });
    expect(await model.detokenize([97])).toBe("a");
    expect(runs).toMatchObject([{ cancelled: false }]);
    for await (const _ of stream) break;
  });

  test("take a signal", async () => {
    const { model } = await fakeModel();
    const controller = new AbortController();
    const asked = [
      model.tokenize("a", { signal: controller.signal }),
      model.detokenize([97], { signal: controller.signal }),
      model.applyChatTemplate(MESSAGES, { signal: controller.signal }),
    ].map(rejection);
    controller.abort("no");
    expect(await Promise.all(asked)).toEqual(["no", "no", "no"]);
  });
});

describe("requests queue in order", () => {
  test("one runs at a time", async () => {
    const { model, runs } = await fakeModel();
    const log: string[] = [];
    const ask = async (prompt: string) => {
      for await (const chunk of await model.completions.create({ prompt, stream: true })) {
        log.push(chunk.choices[0]?.text ?? "");
      }
    };
    await Promise.all([ask("a b c"), ask("d e"), ask("f")]);
    expect(log.join("")).toBe("abcdef");
    expect(runs.map(({ request }) => "prompt" in request && request.prompt)).toEqual(["a b c", "d e", "f"]);
  });

  test("a stream that nobody reads holds up no one", async () => {
    const { model } = await fakeModel();
    const first = await model.completions.create({ prompt: "a b c", stream: true });
    const second = await model.completions.create({ prompt: "d e f" });
    expect(second.choices[0]?.text).toBe("def");
    expect(textOf(await collect(first))).toBe("a|b|c|");
  });

  test("a refused request rejects create, streamed or not, and the next one runs", async () => {
    const { model } = await fakeModel();
    const asked = [
      rejection(model.completions.create({ prompt: "refused", stream: true })),
      rejection(model.completions.create({ prompt: "refused" })),
      model.completions.create({ prompt: "a b c" }),
    ];
    const refused = { code: "context_length_exceeded", message: "the prompt has 99 tokens, the context 64" };
    expect(await Promise.all(asked)).toMatchObject([refused, refused, { choices: [{ text: "abc" }] }]);
  });

  test("one that is aborted in the queue never starts", async () => {
    const { model, runs } = await fakeModel();
    const controller = new AbortController();
    const first = await model.completions.create({ prompt: "endless", stream: true });
    const second = rejection(model.completions.create({ prompt: "second" }, { signal: controller.signal }));
    const third = model.completions.create({ prompt: "third" });
    controller.abort("no");
    expect(await second).toBe("no");
    for await (const _ of first) break;
    expect((await third).choices[0]?.text).toBe("third");
    expect(runs.map(({ request }) => "prompt" in request && request.prompt)).toEqual(["endless", "third"]);
  });

  test("one that was aborted before rejects without waiting, and never starts", async () => {
    const { model, runs } = await fakeModel();
    const first = await model.completions.create({ prompt: "endless", stream: true });
    const signal = AbortSignal.abort("no");
    expect(await rejection(model.completions.create({ prompt: "a" }, { signal }))).toBe("no");
    for await (const _ of first) break;
    await model.completions.create({ prompt: "b" });
    expect(runs.map(({ request }) => "prompt" in request && request.prompt)).toEqual(["endless", "b"]);
  });
});

test("memory that is wanted and not there is told of with the memory there is, and the model goes on", async () => {
  const { model, fakes } = await fakeModel();
  fakes.onStep = () => {
    throw wasmError("out_of_memory", "`the KV cache` needs 99 bytes, which could not be allocated");
  };
  expect(await rejection(model.completions.create({ prompt: "long" }))).toMatchObject({
    code: "out_of_memory",
    message:
      "`the KV cache` needs 99 bytes, which could not be allocated; 1048576 of at most 4294967296 bytes are in use",
  });
  fakes.onStep = () => {};
  expect(await model.completions.create({ prompt: "short" })).toMatchObject({ object: "text_completion" });
});

describe("leaving and aborting cancel the generation", () => {
  test.each([
    [
      "break",
      async (stream: AsyncIterable<CompletionChunk>) => {
        for await (const _ of stream) break;
      },
    ],
    [
      "throw",
      async (stream: AsyncIterable<CompletionChunk>) => {
        await rejection(
          (async () => {
            for await (const _ of stream) throw new Error("mine");
          })(),
        );
      },
    ],
    [
      "return before next",
      async (stream: AsyncIterable<CompletionChunk>) =>
        void (await stream[Symbol.asyncIterator]().return?.()),
    ],
  ])("%s", async (_, leave) => {
    const { model, runs } = await fakeModel();
    await leave(await model.completions.create({ prompt: "endless", stream: true }));
    await model.completions.create({ prompt: "next" });
    expect(runs).toMatchObject([{ cancelled: true }, { cancelled: false }]);
  });

  test("an abort while decoding stops within a step or two", async () => {
    const { model, runs } = await fakeModel();
    const controller = new AbortController();
    const stream = await model.chat.completions.create(
      { messages: [{ role: "user", content: "endless" }], stream: true },
      { signal: controller.signal },
    );
    let chunks = 0;
    const error = await rejection(
      (async () => {
        for await (const _ of stream) if (++chunks === 5) controller.abort();
      })(),
    );
    expect(error).toMatchObject({ name: "AbortError" });
    expect(error).toBeInstanceOf(DOMException);
    expect(chunks).toBe(5);
    await vi.waitFor(() => expect(runs).toMatchObject([{ cancelled: true }]));
    expect(runs[0]?.steps).toBeLessThan(100);
  });

  test("an abort in the prompt, of an answer in one piece", async () => {
    const { model, runs, fakes } = await fakeModel();
    const controller = new AbortController();
    fakes.onStep = ({ steps }) => steps < PREFILL && controller.abort(new RangeError("mine"));
    const asked = model.completions.create({ prompt: "endless" }, { signal: controller.signal });
    expect(await rejection(asked)).toEqual(new RangeError("mine"));
    await model.completions.create({ prompt: "next" });
    expect(runs).toMatchObject([{ cancelled: true }, { cancelled: false }]);
    expect(runs[0]?.steps).toBeLessThan(100);
  });

  test("an abort after the end changes nothing", async () => {
    const { model, runs } = await fakeModel();
    const controller = new AbortController();
    await model.completions.create({ prompt: "a b c" }, { signal: controller.signal });
    const next = model.completions.create({ prompt: "d e f" });
    controller.abort();
    expect((await next).choices[0]?.text).toBe("def");
    expect(runs).toMatchObject([{ cancelled: false }, { cancelled: false }]);
  });
});

describe("every promise settles", () => {
  const lost = (message: string) => ({ code: "worker_lost", message });

  test("a trap is internal; then the worker is lost", async () => {
    const { model, worker } = await fakeModel();
    const stream = await model.completions.create({ prompt: "trap x y", stream: true });
    const queued = rejection(model.completions.create({ prompt: "a" }));
    expect(await rejection(collect(stream))).toMatchObject({
      code: "internal",
      message: "the engine stopped: RuntimeError: unreachable executed",
      cause: { name: "RuntimeError" },
    });
    const expected = lost("the worker stopped after an error `internal`");
    expect(await queued).toMatchObject(expected);
    expect(await rejection(model.tokenize("a"))).toMatchObject(expected);
    expect(worker.terminated).toBe(true);
  });

  test("a trap for want of memory is out_of_memory; then the worker is lost", async () => {
    const { model, worker, fakes } = await fakeModel();
    fakes.refused = 12345;
    expect(await rejection(model.completions.create({ prompt: "trap x y" }))).toMatchObject({
      code: "out_of_memory",
      message: "12345 bytes were refused; 1048576 of at most 4294967296 bytes are in use",
      cause: { name: "RuntimeError" },
    });
    expect(await rejection(model.tokenize("a"))).toMatchObject(
      lost("the worker stopped after an error `out_of_memory`"),
    );
    expect(worker.terminated).toBe(true);
  });

  test.each<[string, string, (worker: FakeWorker) => void]>([
    ["error", "the worker stopped: boom", (worker) => worker.die("boom")],
    [
      "a message that the page cannot read",
      "a message from the worker could not be read",
      (worker) => void worker.dispatchEvent(new MessageEvent("messageerror")),
    ],
    [
      "one that it cannot read itself",
      "the worker stopped: Uncaught TallowError: a message from the page could not be read",
      (worker) => worker.misread(),
    ],
  ])("the worker dies of %s", async (_, message, kill) => {
    const { model, worker } = await fakeModel();
    const stream = await model.completions.create({ prompt: "endless", stream: true });
    const pending = [
      collect(stream),
      model.completions.create({ prompt: "a" }),
      model.tokenize("a"),
      model.detokenize([97]),
      model.applyChatTemplate(MESSAGES),
    ].map((promise) => rejection(promise));
    kill(worker);
    for (const error of await Promise.all(pending)) expect(error).toMatchObject(lost(message));
    expect(await rejection(model.tokenize("a"))).toMatchObject(lost(message));
    expect(worker.terminated).toBe(true);
  });

  test("dispose ends the worker, as often as it is called", async () => {
    const { model, worker } = await fakeModel();
    const pending = [
      rejection(model.completions.create({ prompt: "endless" })),
      rejection(model.completions.create({ prompt: "a" })),
      rejection(model.tokenize("a")),
    ];
    await model.dispose();
    await model.dispose();
    expect(worker.terminated).toBe(true);
    const expected = lost("the model was disposed of");
    expect(await Promise.all(pending)).toMatchObject([expected, expected, expected]);
    expect(await rejection(model.completions.create({ prompt: "a" }))).toMatchObject(expected);
  });
});
