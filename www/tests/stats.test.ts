import { expect, test } from "vitest";
import { noStats, type AnswerTurn } from "../src/state.js";
import { endingOf, factsOf, fillsContext } from "../src/stats.js";

const turn: AnswerTurn = {
  role: "assistant",
  id: 1,
  text: "A candle",
  status: "finished",
  finishReason: "stop",
  problem: undefined,
  stats: { tokens: 50, counted: true, generateMs: 1210, firstTokenMs: 310, contextTokens: 81 },
};

test("facts of a whole answer, of one by its pieces, and of none", () => {
  const texts = (stats: AnswerTurn["stats"]) => factsOf({ ...turn, stats }).map(({ text }) => text);
  expect(texts(turn.stats)).toEqual(["41.3 tokens/s", "310 ms to first token", "50 tokens"]);
  expect(texts({ ...turn.stats, counted: false })).toEqual([
    "≈ 41.3 tokens/s",
    "310 ms to first token",
    "≈ 50 tokens",
  ]);
  expect(texts(noStats)).toEqual([]);
});

test("an answer says why it is not whole", () => {
  expect(endingOf(turn, 4096)).toBeUndefined();
  expect(endingOf({ ...turn, status: "stopped" }, 4096)).toMatch("You stopped");
  expect(endingOf({ ...turn, status: "stopped", text: "" }, 4096)).toMatch("before it began");
  expect(endingOf({ ...turn, finishReason: "length" }, 4096)).toMatch("Max tokens");
  expect(endingOf({ ...turn, finishReason: "length" }, 81)).toMatch("all that the model can remember");
});

test("the context is full when it is, or when the engine says so", () => {
  const problem = { code: "context_length_exceeded" as const, title: "", advice: "", detail: "" };
  expect(fillsContext(undefined, 81)).toBe(false);
  expect(fillsContext(turn, 82)).toBe(false);
  expect(fillsContext(turn, 81)).toBe(true);
  expect(fillsContext({ ...turn, problem }, 4096)).toBe(true);
});
