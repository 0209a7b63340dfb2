/** What every project asks, and what the answer must be. */

import { expect } from "@playwright/test";
import { goldenCases } from "../e2e/golden.js";

/** The golden answer of which the most tokens are certain. */
const golden = goldenCases.reduce((best, other) =>
  other.certain.length > best.certain.length ? other : best,
);

/** What they are asked: the prompt to go on with, and the ids to score. */
export const question = {
  prompt: golden.prompt,
  max_tokens: String(golden.certain.length),
  ids: JSON.stringify([...golden.promptIds, ...golden.certain]),
};

/** The mean distance to float32 that `../golden/README.md` allows, 1.1 times llama.cpp's. */
const MEAN_DISTANCE = 1.1 * 0.102;

/** What a project says: the golden tokens, drawn and scored by two threads of `module`. */
export function expectAnswer(json: string, module = "relaxed"): void {
  const { logprobs, ...answer } = JSON.parse(json);
  expect(answer).toEqual({
    text: golden.text.slice(0, answer.text?.length),
    tokens: golden.certain.length,
    threads: 2,
    module,
  });
  const scored: number[] = logprobs.slice(golden.promptIds.length);
  expect(scored).toHaveLength(golden.certain.length);
  const distances = golden.logprobs.map((expected, i) => Math.abs((scored[i] ?? NaN) - expected));
  expect(distances.reduce((sum, distance) => sum + distance) / distances.length).toBeLessThan(MEAN_DISTANCE);
  console.log(`module: ${answer.module}`);
}
