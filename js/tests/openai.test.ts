/** The official client of OpenAI: its types take our bodies and answers, and it talks to a model in the page. */

import OpenAI from "openai";
import { describe, expect, expectTypeOf, test } from "vitest";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  Completion,
  CompletionCreateParams,
  CompletionCreateParamsNonStreaming,
  Model,
} from "../src/index.js";
import { fakeModel, rejection, wasmError } from "./fake.js";

/** Without what TypeScript has to say on `readonly` and `undefined`: OpenAI's types know neither. */
type Plain<T> = T extends readonly (infer Element)[]
  ? Plain<Element>[]
  : T extends object
    ? { -readonly [Field in keyof T]: Plain<Exclude<T[Field], undefined>> }
    : T;

/** Our names of what OpenAI has as well; extras are checked by nobody there. */
type Shared<Ours, Theirs> = Plain<Pick<Ours, keyof Ours & keyof Theirs>> & { model: string };

describe("types", () => {
  test("answers are OpenAI's", () => {
    expectTypeOf<ChatCompletion>().toExtend<OpenAI.ChatCompletion>();
    expectTypeOf<ChatCompletionChunk>().toExtend<OpenAI.ChatCompletionChunk>();
    expectTypeOf<Completion>().toExtend<OpenAI.Completion>();
  });

  test("bodies are OpenAI's", () => {
    type Chat = OpenAI.ChatCompletionCreateParamsNonStreaming;
    expectTypeOf<Shared<ChatCompletionCreateParamsNonStreaming, Chat>>().toExtend<Chat>();
    type ChatStream = OpenAI.ChatCompletionCreateParamsStreaming;
    expectTypeOf<Shared<ChatCompletionCreateParamsStreaming, ChatStream>>().toExtend<ChatStream>();
    type Text = OpenAI.CompletionCreateParamsNonStreaming;
    // Whose tokens are an array.
    type OurText = Omit<CompletionCreateParamsNonStreaming, "prompt"> & { prompt: string | number[] };
    expectTypeOf<Shared<OurText, Text>>().toExtend<Text>();
  });

  test("a body that is written once goes to either", async () => {
    const { model } = await fakeModel();
    const chat = {
      model: "any",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "one two three" }] },
      ],
      max_completion_tokens: 3,
      temperature: 0.5,
      top_p: 0.9,
      n: 1,
      stop: ["\n", "END", "."],
      seed: 7,
      frequency_penalty: 0.1,
      presence_penalty: 0.1,
      logit_bias: { "5": -100 },
      logprobs: true,
      top_logprobs: 3,
      tools: [{ type: "function", function: { name: "clock", parameters: { type: "object" } } }],
      tool_choice: "auto",
      user: "me",
      store: false,
      metadata: { a: "b" },
    } satisfies OpenAI.ChatCompletionCreateParamsNonStreaming & ChatCompletionCreateParams;
    const text = {
      model: "any",
      prompt: "one two three",
      logprobs: 2,
      echo: false,
      best_of: 1,
      stream: true,
      stream_options: { include_usage: true },
    } satisfies OpenAI.CompletionCreateParamsStreaming & CompletionCreateParams;
    const client = clientOf(model);
    expectTypeOf(client.chat.completions.create(chat)).resolves.toExtend<OpenAI.ChatCompletion>();
    expectTypeOf(model.chat.completions.create(chat)).resolves.toExtend<OpenAI.ChatCompletion>();
    for await (const chunk of await client.completions.create(text))
      expect(chunk.object).toBe("text_completion");
    for await (const chunk of await model.completions.create(text))
      expect(chunk.object).toBe("text_completion");
  });
});

function clientOf(model: Model): OpenAI {
  return new OpenAI({
    baseURL: "http://tallow.local/v1",
    apiKey: "none",
    fetch: model.fetch,
    dangerouslyAllowBrowser: true,
  });
}

const messages = [{ role: "user" as const, content: "one two three" }];

describe("OpenAI's client on `model.fetch`", () => {
  test("chat completions, whole and streamed", async () => {
    const { model } = await fakeModel();
    const client = clientOf(model);
    const body = { model: "any", messages, n: 2, logprobs: true, top_logprobs: 1 };
    const completion = await client.chat.completions.create(body);
    expect(completion.choices.map(({ message }) => message.content)).toEqual(["onetwothree", "onetwothree"]);
    expect(completion.choices[1]?.logprobs?.content?.map(({ logprob }) => logprob)).toEqual([-2, -2, -2]);
    expect(completion.usage).toEqual({
      prompt_tokens: 6,
      completion_tokens: 6,
      total_tokens: 12,
      prompt_tokens_details: { cached_tokens: 2 },
    });

    const streamOptions = { stream: true as const, stream_options: { include_usage: true } };
    const texts = ["", ""];
    let usage;
    for await (const chunk of await client.chat.completions.create({ ...body, ...streamOptions })) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? "";
      usage = chunk.usage;
    }
    expect(texts).toEqual(["onetwothree", "onetwothree"]);
    expect(usage).toEqual(completion.usage);
  });

  test("its own reader of streams puts an answer together", async () => {
    const { model } = await fakeModel();
    const stream = clientOf(model).chat.completions.stream({ model: "any", messages });
    expect((await stream.finalChatCompletion()).choices[0]?.message.content).toBe("onetwothree");
  });

  test("completions, whole and streamed", async () => {
    const { model } = await fakeModel();
    const client = clientOf(model);
    const body = { model: "any", prompt: "one two three", logprobs: 1 };
    const { choices } = await client.completions.create(body);
    expect(choices).toMatchObject([{ text: "onetwothree", logprobs: { text_offset: [0, 3, 6] } }]);
    const texts: string[] = [];
    for await (const chunk of await client.completions.create({ ...body, stream: true }))
      texts.push(chunk.choices[0]?.text ?? "");
    expect(texts).toEqual(["one", "two", "three", ""]);
  });

  test("models", async () => {
    const { model } = await fakeModel();
    const client = clientOf(model);
    const expected = { id: "Fake 3B", object: "model", created: 0, owned_by: "tallow" };
    expect((await client.models.list()).data).toEqual([expected]);
    expect(await client.models.retrieve("Fake 3B")).toEqual(expected);
    expect(await rejection(client.models.retrieve("other"))).toMatchObject({ status: 404 });
  });

  test("errors, once, with status, code and field", async () => {
    const { model, fakes } = await fakeModel();
    const client = clientOf(model);
    let asked = 0;
    const counting = client.withOptions({
      fetch: (input, init) => {
        asked += 1;
        return model.fetch(input, init);
      },
    });
    const create = (body: object) =>
      rejection(
        Promise.resolve(counting.chat.completions.create({ model: "any", messages, ...body } as never)),
      );
    expect(await create({ temperature: 3 })).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      code: "invalid_request",
      param: "temperature",
      message: "400 `temperature` should be a number in 0..=2, got 3",
    });
    expect(await create({ reasoning_effort: "low" })).toMatchObject({
      status: 400,
      param: "reasoning_effort",
    });
    expect(await create({ messages: [{ role: "user", content: "refused" }] })).toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      param: null,
    });
    fakes.onStep = () => {
      throw wasmError("out_of_memory", "`the KV cache` needs 99 bytes");
    };
    expect(await create({})).toMatchObject({ status: 500, type: "server_error", code: "out_of_memory" });
    expect(asked).toBe(4);

    const stream = await client.chat.completions.create({ model: "any", messages, stream: true });
    const failed = (async () => {
      for await (const _ of stream);
    })();
    expect(await rejection(failed)).toMatchObject({ code: "out_of_memory" });
  });

  test("aborting and leaving cancel the generation", async () => {
    const { model, runs } = await fakeModel();
    const client = clientOf(model);
    const endless = { model: "any", messages: [{ role: "user" as const, content: "endless" }] };
    const controller = new AbortController();
    const whole = rejection(
      Promise.resolve(client.chat.completions.create(endless, { signal: controller.signal })),
    );
    setTimeout(() => controller.abort(), 20);
    expect(await whole).toBeInstanceOf(OpenAI.APIUserAbortError);

    const stream = await client.chat.completions.create({ ...endless, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;

    const aborted = await client.chat.completions.create({ ...endless, stream: true });
    let chunks = 0;
    // Its iterator ends without an error then.
    for await (const _ of aborted) if (++chunks === 3) aborted.controller.abort();
    await client.completions.create({ model: "any", prompt: "next" });
    expect(runs.map(({ cancelled }) => cancelled)).toEqual([true, true, true, false]);
  });
});

describe("`model.fetch` by itself", () => {
  const url = "http://tallow.local/v1/chat/completions";

  test("streams server-sent events", async () => {
    const { model } = await fakeModel();
    const body = JSON.stringify({ messages, stream: true });
    const response = await model.fetch(new Request(url, { method: "POST", body }));
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events = (await response.text()).split("\n\n");
    expect(events.slice(-2)).toEqual(["data: [DONE]", ""]);
    const chunks = events.slice(0, -2).map((event) => JSON.parse(event.replace(/^data: /, "")) as unknown);
    expect(chunks).toHaveLength(5);
    expect(chunks.at(-1)).toMatchObject({
      choices: [{ finish_reason: "stop" }],
      timings: { predicted_n: 3 },
    });
  });

  test.each([
    ["GET", url, 405, /`\/v1\/chat\/completions` should be asked with POST, got GET/],
    ["POST", "https://x.test/models", 405, /should be asked with GET/],
    ["POST", "https://x.test/v1/embeddings", 404, /there is no `\/v1\/embeddings`/],
    ["POST", "https://x.test/chat/completions/7", 404, /there is no/],
    ["POST", url, 400, /the body should be JSON/],
    ["GET", "https://x.test/v1/models/%E0%A4%A", 404, /there is no model/],
  ])("%s %s is %i", async (method, url, status, message) => {
    const { model } = await fakeModel();
    const response = await model.fetch(url, { method, ...(method === "POST" && { body: "no JSON" }) });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringMatching(message) as string, type: "invalid_request_error" },
    });
  });

  test("an aborted signal rejects with its reason", async () => {
    const { model } = await fakeModel();
    const request = { method: "POST", body: JSON.stringify({ messages }) };
    expect(await rejection(model.fetch(url, { ...request, signal: AbortSignal.abort("no") }))).toBe("no");
  });
});
