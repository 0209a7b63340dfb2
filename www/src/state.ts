/** What the page knows, as plain data. `Chat` is the only one that changes it. */
import type { FinishReason, LoadProgress, ModelInfo } from "tallow";
import type { Problem } from "./problem.js";
import type { Settings } from "./settings.js";

/** Where a model comes from: an absolute URL, or a file of the user's. */
export type Source = URL | File;

export type ModelState =
  | { kind: "idle" }
  | { kind: "loading"; progress: LoadProgress | undefined; bytesPerSecond: number | undefined }
  | { kind: "ready"; info: ModelInfo; loadMs: number; warnings: readonly string[] }
  | { kind: "failed"; problem: Problem };

export interface UserTurn {
  role: "user";
  id: number;
  text: string;
}

export interface AnswerTurn {
  role: "assistant";
  id: number;
  text: string;
  status: "streaming" | "finished" | "stopped" | "failed";
  finishReason: FinishReason | undefined;
  problem: Problem | undefined;
  stats: Stats;
}

export type Turn = UserTurn | AnswerTurn;

export interface Stats {
  /** Tokens of the answer: what the engine counted, or until it has, how many pieces of text came. */
  tokens: number;
  counted: boolean;
  /** Time spent on the tokens after the first one came, or what the engine measured. */
  generateMs: number;
  /** From the request to the first piece of text. */
  firstTokenMs: number | undefined;
  /** Tokens of the whole conversation up to here, once the engine has counted them. */
  contextTokens: number | undefined;
}

export interface State {
  source: Source;
  model: ModelState;
  turns: readonly Turn[];
  settings: Settings;
}

export const noStats: Readonly<Stats> = {
  tokens: 0,
  counted: false,
  generateMs: 0,
  firstTokenMs: undefined,
  contextTokens: undefined,
};

/** The answer that is being written, if one is. */
export function streamingTurn(turns: readonly Turn[]): AnswerTurn | undefined {
  const last = turns.at(-1);
  return last?.role === "assistant" && last.status === "streaming" ? last : undefined;
}
