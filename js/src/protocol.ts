/** The messages between page and worker: every one, and how an error crosses. */

import type { CachedModel } from "./cache.js";
import type { RelaxedDot, WasmModuleName } from "./capabilities.js";
import { TALLOW_ERROR_CODES, TallowError, type TallowErrorCode } from "./errors.js";
import type { Inspection, ModelInfo } from "./info.js";
import type { LoadProgress } from "./model.js";
import type { Timings } from "./openai.js";
import type { ScoreParams, ScoreProgress, WireScores } from "./score.js";
import type { WireSource } from "./source.js";
import type { LoaderOptions, Piece } from "./wasm-contract.js";

/** How the wasm is started, and what contexts the model is to have. */
export interface Start extends Pick<LoaderOptions, "contextLength" | "kvCacheType"> {
  module: WasmModuleName;
  relaxedDot: RelaxedDot | null;
  wasmUrl: string | undefined;
  threads: number;
}

/** What the page may ask for: parameters and answer by method. */
export interface Methods {
  load: {
    params: Start & {
      source: WireSource;
      sha256: string[] | undefined;
      cache: boolean;
    };
    result: ModelInfo;
  };
  inspect: {
    params: Start & { source: WireSource };
    result: Inspection;
  };
  /** `cache.list` and, of all models where no URLs are named, `cache.delete`. */
  listStored: { params: Record<never, never>; result: CachedModel[] };
  deleteStored: { params: { urls: string[] | undefined }; result: void };
  tokenize: { params: { text: string; addSpecial: boolean; parseSpecial: boolean }; result: Uint32Array };
  detokenize: { params: { ids: Uint32Array }; result: string };
  /** `request` is JSON of `TemplateRequest`. */
  applyChatTemplate: { params: { request: string }; result: string };
  /** `request` is JSON of `GenerateRequest`. The page sends one only when the one before was answered. */
  generate: { params: { request: string; session: number }; result: Timings };
  /** Gives the number of a new session; 0 is the model's own. */
  createSession: { params: Record<never, never>; result: number };
  fork: { params: { session: number }; result: number };
  truncate: { params: { session: number; length: number }; result: void };
  tokens: { params: { session: number }; result: Uint32Array };
  save: { params: { session: number }; result: Blob };
  restore: { params: { session: number; saved: Blob }; result: void };
  free: { params: { session: number }; result: void };
  /** As `generate`. */
  score: { params: ScoreParams; result: WireScores };
}

/** A method's name. */
export type Method = keyof Methods;

/** A call of one method. */
export type Call<M extends Method = Method> = {
  [K in M]: { id: number; method: K; params: Methods[K]["params"] };
}[M];

/** Page to worker. A `cancel` names the generation or scoring it means; one that has ended is not missed. */
export type ToWorker = Call | { id: number; method: "cancel" };

/** Worker to page, before the answer: how loading goes on; the request was found good; a piece of an answer. */
export type WorkerEvent =
  | { id: number; event: "progress"; progress: LoadProgress }
  | { id: number; event: "warning"; warning: WireError }
  | { id: number; event: "scored"; progress: ScoreProgress }
  | { id: number; event: "started" }
  | { id: number; event: "piece"; piece: Piece };

/** Worker to page: the one answer to a call. After `dead` the worker answers nothing more. */
export type Answer =
  | { id: number; event: "done"; result: Methods[Method]["result"] }
  | { id: number; event: "cancelled" }
  | { id: number; event: "failed"; error: WireError; dead: boolean };

/** Worker to page. */
export type FromWorker = WorkerEvent | Answer;

/** A {@link TallowError} as data; structured cloning would strip its class and code. */
export interface WireError {
  code: TallowErrorCode;
  message: string;
  cause?: { name: string; message: string; stack: string | undefined };
}

/** Whether an error carries one of our codes: a {@link TallowError}, or one that the wasm side threw. */
export function hasCode(error: unknown): error is Error & { code: TallowErrorCode } {
  return error instanceof Error && "code" in error && TALLOW_ERROR_CODES.some((code) => code === error.code);
}

/** An error with a code as data; one without is a fault of ours, or a trap. */
export function toWire(error: unknown): WireError {
  if (!hasCode(error))
    return { code: "internal", message: `the engine stopped: ${error}`, ...wireCause(error) };
  return { code: error.code, message: error.message, ...wireCause(error.cause) };
}

function wireCause(cause: unknown): Pick<WireError, "cause"> {
  if (!(cause instanceof Error)) return {};
  return { cause: { name: cause.name, message: cause.message, stack: cause.stack } };
}

/** The error that {@link toWire} took apart. */
export function fromWire({ code, message, cause }: WireError): TallowError {
  return new TallowError(code, message, cause && { cause: Object.assign(new Error(cause.message), cause) });
}
