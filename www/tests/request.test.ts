import { expect, test } from "vitest";
import { toRequest } from "../src/request.js";
import { defaultSettings } from "../src/settings.js";
import { noStats, type AnswerTurn, type Turn } from "../src/state.js";

test("settings and turns in the shape of a request", () => {
  const turns = [question(1, "One?"), answer(2, "One."), question(3, "Two?")];
  const settings = { ...defaultSettings, seed: 7, system: " Be brief. " };
  expect(toRequest(turns, settings)).toEqual({
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "One?" },
      { role: "assistant", content: "One." },
      { role: "user", content: "Two?" },
    ],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.2,
    top_k: 40,
    top_p: 0.9,
    max_tokens: 512,
    seed: 7,
  });
});

test("no seed and no system prompt unless they are set", () => {
  const request = toRequest([question(1, "One?")], { ...defaultSettings, system: " \n" });
  expect(request).not.toHaveProperty("seed");
  expect(request.messages).toEqual([{ role: "user", content: "One?" }]);
});

test("a question without an answer is left out, one with a part of an answer is not", () => {
  const turns = [
    question(1, "Failed?"),
    { ...answer(2, ""), status: "failed" as const },
    question(3, "Stopped?"),
    { ...answer(4, "Half an"), status: "stopped" as const },
    question(5, "Now?"),
  ];
  const { messages } = toRequest(turns, defaultSettings);
  expect(messages.map(({ content }) => content)).toEqual(["Stopped?", "Half an", "Now?"]);
});

function question(id: number, text: string): Turn {
  return { role: "user", id, text };
}

function answer(id: number, text: string): AnswerTurn {
  return {
    role: "assistant",
    id,
    text,
    status: "finished",
    finishReason: "stop",
    problem: undefined,
    stats: noStats,
  };
}
