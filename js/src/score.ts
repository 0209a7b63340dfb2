/** `model.score`: what every token of a text is to the model. */

import type { RequestOptions } from "./completions.js";
import type { Timings } from "./openai.js";
import { checkCall, invalid } from "./validate.js";
import type { WasmScoreOptions } from "./wasm-contract.js";

/** How far scoring has come. `done` never falls, and in the last report it equals `total`. */
export interface ScoreProgress {
  /** Tokens evaluated. Those that windows share count in each. */
  done: number;
  /** Tokens to evaluate altogether. */
  total: number;
}

/** Options of {@link Model.score}. */
export interface ScoreOptions extends RequestOptions {
  /** How many of the most probable tokens to name at each position; 0 by default. */
  topLogprobs?: number | undefined;
  /**
   * Tokens that the model sees together: 2 or more, and at most what it was trained on. By default the context length
   * that it was loaded with.
   */
  window?: number | undefined;
  /** How far a window begins behind the one before it: 1 or more, less than `window`. By default half of `window`. */
  stride?: number | undefined;
  /**
   * Adds the tokens that the model wants around a text, such as its beginning-of-sequence token, which then has the
   * first entry, so that the first token of the text itself is scored; `true` by default. Of no effect on ids.
   */
  addSpecial?: boolean | undefined;
  /** Reads special tokens written out in the text as such and not as plain text; `false` by default. */
  parseSpecial?: boolean | undefined;
  /** Is told how scoring goes on, after every chunk of 32 tokens. */
  onProgress?: ((progress: ScoreProgress) => void) | undefined;
}

/** One of the most probable tokens at a position. */
export interface Alternative {
  /** The token. */
  id: number;
  /** The natural logarithm of its probability. */
  logprob: number;
  /** Its text alone; of a part of a character, U+FFFD. */
  text: string;
}

/**
 * What {@link Model.score} finds. Every array has an entry for each token: entry i is about `ids[i]`, and what the model
 * expected in its place after the tokens before it. Nothing comes before the first token, so that its entries say nothing.
 */
export interface Scores {
  /** The tokens. */
  ids: Uint32Array;
  /** The text of each token alone; of a part of a character, U+FFFD. */
  texts: string[];
  /** The natural logarithm of the token's probability; the first is NaN. */
  logprobs: Float32Array;
  /** 1 for the token that the model held for the most probable, 2 for the next; the first entry is 0. */
  ranks: Uint32Array;
  /**
   * How uncertain the model was, before it saw the token: the entropy −Σ p·ln p of its distribution over the vocabulary, in
   * nats; the first is NaN.
   */
  entropies: Float32Array;
  /** The `topLogprobs` most probable tokens, the best first; the first entry is empty. */
  top: Alternative[][];
  /** e to the power of the mean of `-logprobs`, without the first entry; of a single token NaN. */
  perplexity: number;
  /** `prompt_n` tokens were evaluated, those that windows share once for each, in `prompt_ms` milliseconds. */
  timings: Pick<Timings, "prompt_n" | "prompt_ms">;
}

/** What crosses from the worker: rows of `n` alternatives side by side, and each one's text once. */
export interface WireScores extends Omit<Scores, "top" | "texts"> {
  topIds: Uint32Array;
  topLogprobs: Float32Array;
  texts: Map<number, string>;
}

/** What the worker is asked. */
export interface ScoreParams {
  input: string | Uint32Array;
  addSpecial: boolean;
  parseSpecial: boolean;
  /** JSON of {@link WasmScoreOptions}. */
  options: string;
}

/** What a call asks, checked. */
export function scoreParams(
  input: string | Uint32Array | readonly number[],
  options: ScoreOptions,
): ScoreParams {
  checkCall("`score`'s arguments", { textOrIds: input }, options);
  if (input.length === 0) throw invalid("`textOrIds` should be a text or ids, got nothing to score");
  const { window, stride, topLogprobs } = options;
  const wasm: WasmScoreOptions = {
    ...(window != null && { window }),
    ...(stride != null && { stride }),
    topLogprobs: topLogprobs ?? 0,
  };
  return {
    input: typeof input === "string" ? input : Uint32Array.from(input),
    addSpecial: options.addSpecial ?? true,
    parseSpecial: options.parseSpecial ?? false,
    options: JSON.stringify(wasm),
  };
}

/** What the worker found, as users have it. */
export function scoresFromWire({ topIds, topLogprobs, texts, ...wire }: WireScores): Scores {
  const text = (id: number) => texts.get(id) ?? "";
  const n = topIds.length / wire.ids.length;
  const alternative = (id: number, at: number) => ({ id, logprob: topLogprobs[at] ?? NaN, text: text(id) });
  const top = Array.from(wire.ids, (_, i) => {
    const begin = i * n;
    return i === 0
      ? []
      : Array.from(topIds.subarray(begin, begin + n), (id, j) => alternative(id, begin + j));
  });
  return { ...wire, texts: Array.from(wire.ids, text), top };
}
