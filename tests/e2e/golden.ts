/** llama.cpp's greedy answers, and how far they are binding: `tests/golden/README.md`. */

import { readFileSync } from "node:fs";

interface GoldenCase {
  kind: "raw" | "chat";
  prompt: string;
  prompt_ids: number[];
  greedy: number[];
  text: string;
  top10_logprobs_f32: [id: number, logprob: number][][];
}

const { cases }: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL("../golden/smollm2-135m-instruct-q4_1.greedy.json", import.meta.url), "utf8"),
);

/** Below this distance between float32's first and second choice, rounding may decide. */
const CLEAR = 0.5;

/** Each case with the tokens that every exact enough implementation must draw, up to the first close call. */
export const goldenCases = cases.map(({ kind, prompt, prompt_ids, greedy, text, top10_logprobs_f32 }) => {
  const closeCall = top10_logprobs_f32.findIndex(
    ([first, second], i) => !first || !second || first[1] - second[1] <= CLEAR || first[0] !== greedy[i],
  );
  return {
    kind,
    prompt,
    promptIds: prompt_ids,
    certain: greedy.slice(0, closeCall),
    text,
    /** Float32's log-probabilities of the tokens of `certain`. */
    logprobs: top10_logprobs_f32.slice(0, closeCall).map(([first]) => first?.[1] ?? NaN),
  };
});
