/** The page's actions and what becomes of its state, with the fake model. */
import { beforeEach, expect, test, vi } from "vitest";
import { Chat } from "../src/chat.js";
import { defaultSettings } from "../src/settings.js";
import { streamingTurn, type AnswerTurn } from "../src/state.js";
import { record } from "./fake-tallow.js";

const url = (name: string) => new URL(`http://localhost/models/${name}.gguf`);

beforeEach(() => Object.assign(record, { loads: 0, disposed: 0, requests: [] }));

test("loading goes from progress to ready", async () => {
  const chat = new Chat(url("good"), defaultSettings);
  const seen: string[] = [];
  chat.store.subscribe(() => {
    const { model } = chat.store.state;
    seen.push(model.kind === "loading" ? (model.progress?.phase ?? "begun") : model.kind);
  });
  await chat.load();
  expect([...new Set(seen)]).toEqual(["begun", "download", "prepare", "ready"]);
});

test.each([
  ["broken", "invalid_model"],
  ["unsupported", "unsupported_model"],
  ["offline", "download_failed"],
  ["memory", "out_of_memory"],
])("loading `%s` fails with %s, and another model can be loaded", async (name, code) => {
  const chat = new Chat(url(name), defaultSettings);
  await chat.load();
  expect(chat.store.state.model).toMatchObject({ kind: "failed", problem: { code } });
  await chat.load(url("good"));
  expect(chat.store.state.model.kind).toBe("ready");
});

test("what a load warns of is kept with the model it brought, and with no other", async () => {
  const chat = new Chat(url("unstored"), defaultSettings);
  await chat.load();
  expect(chat.store.state.model).toMatchObject({ kind: "ready", warnings: ["the storage is full"] });
  await chat.load(url("good"));
  expect(chat.store.state.model).toMatchObject({ kind: "ready", warnings: [] });
});

test("a cancelled load is idle, and stays so", async () => {
  const chat = new Chat(url("slow"), defaultSettings);
  const loading = chat.load();
  await vi.waitFor(() => expect(chat.store.state.model).toMatchObject({ progress: { phase: "download" } }));
  chat.cancelLoad();
  await loading;
  expect(chat.store.state.model).toEqual({ kind: "idle" });
});

test("the second of two loads is the one that counts", async () => {
  const chat = new Chat(url("slow"), defaultSettings);
  const first = chat.load();
  await Promise.all([first, chat.load(url("good"))]);
  expect(chat.store.state).toMatchObject({ source: url("good"), model: { kind: "ready" } });
});

test("another model takes the place of the first and begins another conversation", async () => {
  const chat = await readyChat();
  await chat.send("Hello");
  await chat.load(url("other"));
  expect(record).toMatchObject({ loads: 2, disposed: 1 });
  expect(chat.store.state.turns).toEqual([]);
});

test("loading the same model again keeps the conversation", async () => {
  const chat = await readyChat();
  await chat.send("Hello");
  await chat.load();
  expect(chat.store.state.turns).toHaveLength(2);
});

test("an answer streams, is counted and timed", async () => {
  const chat = await readyChat();
  const lengths: number[] = [];
  chat.store.subscribe(() => lengths.push(streamingTurn(chat.store.state.turns)?.text.length ?? -1));
  await chat.send("  Why does a candle burn? ");
  expect(chat.store.state.turns[0]).toMatchObject({ role: "user", text: "Why does a candle burn?" });
  const answer = lastAnswer(chat);
  expect(answer).toMatchObject({
    status: "finished",
    finishReason: "stop",
    stats: { counted: true, tokens: 36 },
  });
  expect(answer.text).toMatch(/^A candle gives .* glows\.$/);
  expect(answer.stats.firstTokenMs).toBeGreaterThan(0);
  expect(answer.stats.contextTokens).toBe(67);
  expect(new Set(lengths).size).toBeGreaterThan(10);
});

test("nothing is sent when there is nothing to send, no model, or an answer under way", async () => {
  const chat = new Chat(url("good"), defaultSettings);
  await chat.send("Too early");
  await chat.load();
  await chat.send("  \n");
  const answering = chat.send("Go on forever");
  await chat.send("Not now");
  await chat.regenerate();
  expect(record.requests).toHaveLength(1);
  chat.stop();
  await answering;
});

test("a stopped answer keeps its text, and one can go on from there", async () => {
  const chat = await readyChat();
  const answering = chat.send("Go on forever");
  await vi.waitFor(() => expect(lastAnswer(chat).text.length).toBeGreaterThan(20));
  chat.stop();
  await answering;
  const { text } = lastAnswer(chat);
  expect(lastAnswer(chat)).toMatchObject({ status: "stopped", stats: { counted: false } });
  await chat.send("And now?");
  expect(record.requests[1]?.messages.map(({ content }) => content)).toEqual([
    "Go on forever",
    text,
    "And now?",
  ]);
});

test("regenerating asks the last question again with the settings of now", async () => {
  const chat = await readyChat();
  await chat.send("Hello");
  const before = lastAnswer(chat).id;
  chat.settings = { ...defaultSettings, temperature: 0, seed: 5 };
  await chat.regenerate();
  expect(chat.store.state.turns).toHaveLength(2);
  expect(lastAnswer(chat).id).not.toBe(before);
  expect(record.requests[1]).toMatchObject({ messages: [{ content: "Hello" }], temperature: 0, seed: 5 });
});

test("an answer that reaches max tokens says so", async () => {
  const chat = await readyChat();
  chat.settings = { ...defaultSettings, max_tokens: 16 };
  await chat.send("Hello");
  expect(lastAnswer(chat)).toMatchObject({ finishReason: "length", stats: { tokens: 16 } });
});

test("a failed answer carries its problem and leaves the model ready", async () => {
  const chat = await readyChat();
  await chat.send("This is too long");
  expect(lastAnswer(chat)).toMatchObject({ status: "failed", problem: { code: "context_length_exceeded" } });
  expect(chat.store.state.model.kind).toBe("ready");
});

test("a lost worker fails the model; loading it again keeps the conversation", async () => {
  const chat = await readyChat();
  await chat.send("Get lost");
  expect(chat.store.state.model).toMatchObject({ kind: "failed", problem: { code: "worker_lost" } });
  await chat.load();
  expect(chat.store.state).toMatchObject({ model: { kind: "ready" }, turns: [{}, { status: "failed" }] });
});

test("a new conversation ends the answer under way and forgets it", async () => {
  const chat = await readyChat();
  const answering = chat.send("Go on forever");
  await vi.waitFor(() => expect(lastAnswer(chat).text).not.toBe(""));
  chat.startAnew();
  await answering;
  expect(chat.store.state.turns).toEqual([]);
});

test("leaving ends the answer and the model, or the load", async () => {
  const chat = await readyChat();
  const answering = chat.send("Go on forever");
  await chat.leave();
  await answering;
  expect(record.disposed).toBe(1);

  const slow = new Chat(url("slow"), defaultSettings);
  const loading = slow.load();
  await slow.leave();
  await loading;
  expect(slow.store.state.model.kind).toBe("idle");
});

async function readyChat(): Promise<Chat> {
  const chat = new Chat(url("good"), defaultSettings);
  await chat.load();
  return chat;
}

function lastAnswer(chat: Chat): AnswerTurn {
  const turn = chat.store.state.turns.at(-1);
  if (turn?.role !== "assistant") throw new Error("expected an answer");
  return turn;
}
