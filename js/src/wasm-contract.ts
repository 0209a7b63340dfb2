/**
 * What the wasm side (`src/wasm/`) provides: the exports of wasm-bindgen's glue, and the JSON that crosses them.
 * `worker.ts` passes the generated glue where a {@link WasmGlue} is expected, so the compiler compares the two.
 *
 * Every export throws a JavaScript `Error` with a string property `code`, one of `TALLOW_ERROR_CODES`; its `message`
 * is the error's detail, followed by `: ` and the source's if there is one, without the code. Anything else that is
 * thrown counts as a trap: the instance is dead afterwards.
 */

import type { RelaxedDot } from "./capabilities.js";
import type { Inspection, KvCacheType, ModelInfo } from "./info.js";
import type {
  ChatCompletionMessageParam,
  ChatCompletionTokenLogprob,
  ChatCompletionTool,
  FinishReason,
  SamplerParams,
  Timings,
} from "./openai.js";

/** The exports of `wasm/tallow.js`, the same file for both modules. */
export interface WasmGlue {
  /** Instantiates the module, once. */
  default(options: { module_or_path: WebAssembly.Module; memory: WebAssembly.Memory }): Promise<unknown>;
  /** Which form of the 8-bit dot product the module `relaxed` takes, else `i16x8`; both give the same numbers. */
  chooseRelaxedDot(form: RelaxedDot): void;
  /** Makes the pool of threads, once and before a loader; without it there is one thread. */
  makePool(threads: number): void;
  /** Returns when each thread has taken part in a job. */
  meet(): void;
  /** In a compute worker: takes part in jobs for ever. Whatever it throws is a trap. */
  help(thread: number): void;
  /** Lets the threads know that one is dead, who then throw `worker_lost`: in a compute worker whose `help` trapped, or in the
   * engine worker where it is told that one ended. */
  lose(thread: number): void;
  /** Bytes that the allocator refused since this was last asked, else 0; also after a trap, which they may have led to. */
  takeRefused(): number;
  /** Which layout packed weights have; what another one packed is of no use. */
  layoutVersion(): number;
  /** Takes JSON of {@link LoaderOptions}. */
  Loader: new (options: string) => WasmLoader;
  Inspector: new () => WasmInspector;
  Sha256: new () => WasmSha256;
}

/** How a model is loaded. Fields that were not given are absent in JSON. */
export interface LoaderOptions {
  /** Absent: the one trained on, 4096 at most. */
  contextLength?: number | undefined;
  /** Absent: `f16`. */
  kvCacheType?: KvCacheType | undefined;
  /** Bytes of memory that there can be. */
  memoryLimit?: number;
  /** Of each file comes the header alone, then the packed weights. */
  packed?: boolean;
}

/** Takes a model's GGUF files as they arrive. */
export interface WasmLoader {
  push(bytes: Uint8Array): void;
  /** Ends a file of several, and begins the next. */
  nextFile(): void;
  /** How long the current file is, once its header has been read. */
  totalBytes(): number | undefined;
  /** Where the current file's header ends, once it has been read. */
  headerBytes(): number | undefined;
  /** A tensor that has become complete, packed: a view of memory. Each comes once. */
  takePacked(): Uint8Array | undefined;
  /** Takes what `takePacked` gave another time, after all files' headers. */
  pushPacked(bytes: Uint8Array): void;
  /** Consumes the loader. */
  finish(): WasmModel;
  free(): void;
}

/** Takes the beginnings of a model's files, one after the other. */
export interface WasmInspector {
  /** Whether the file's header is complete; what comes then is the next file's. */
  push(bytes: Uint8Array): boolean;
  /**
   * Consumes the inspector.
   * @param options - JSON of {@link LoaderOptions}
   * @returns JSON of {@link WasmInspection}
   */
  finish(options: string): string;
}

/** Hashes bytes as they come. */
export interface WasmSha256 {
  update(bytes: Uint8Array): void;
  /** In lower-case hexadecimal; consumes the hash. */
  digest(): string;
  free(): void;
}

/** A loaded model. It runs one generation at a time: `start`, then `step` until there are `timings`, or `cancel`. */
export interface WasmModel {
  /** JSON of {@link WasmModelInfo}. */
  info(): string;
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Uint32Array;
  detokenize(ids: Uint32Array): string;
  /** @param request - JSON of {@link TemplateRequest} */
  applyChatTemplate(request: string): string;
  /**
   * Renders, tokenizes and checks; computes nothing yet.
   * @param request - JSON of {@link GenerateRequest}
   * @param session - the number of the session that it is for, 0 being the model's own
   * @returns how many tokens the prompt has
   */
  start(request: string, session: number): number;
  /**
   * Computes one chunk of the prompt or draws one token.
   * @returns JSON of {@link Step}
   */
  step(): string;
  /** Drops the generation under way. */
  cancel(): void;
  /** Gives the number of a new session. */
  createSession(): number;
  /** Gives the number of a new session that has seen the same. */
  forkSession(session: number): number;
  truncateSession(session: number, length: number): void;
  sessionTokens(session: number): Uint32Array;
  /**
   * Gives `write` a saved session's bytes, piece by piece, each a view of memory.
   * @param model - the model's hash
   */
  saveSession(session: number, model: Uint8Array, write: (bytes: Uint8Array) => void): void;
  /** Reads what `saveSession` wrote. */
  restorer(session: number, model: Uint8Array): WasmRestorer;
  /** Consumes the restorer. */
  restoreSession(session: number, saved: WasmRestorer): void;
  freeSession(session: number): void;
  /**
   * Prepares to score; leaves the generation under way alone.
   * @param options - JSON of {@link WasmScoreOptions}
   */
  scorer(ids: Uint32Array, options: string): WasmScorer;
  /** The text of each id alone. */
  texts(ids: Uint32Array): string[];
}

/** How to score. Fields that were not given are absent. */
export interface WasmScoreOptions {
  /** Absent: the context length. */
  window?: number;
  /** Absent: half the window. */
  stride?: number;
  topLogprobs: number;
}

/** A text being scored: `step` until it is done, then the numbers, as `Scores` in `score.ts` has them. */
export interface WasmScorer {
  /** Evaluates a chunk; how many tokens are evaluated then. */
  step(model: WasmModel): number;
  /** How many tokens are to be evaluated. */
  total(): number;
  logprobs(): Float32Array;
  ranks(): Uint32Array;
  entropies(): Float32Array;
  /** As many for each token, row by row. */
  topIds(): Uint32Array;
  topLogprobs(): Float32Array;
  perplexity(): number;
  /** The milliseconds that the steps took. */
  promptMs(): number;
  free(): void;
}

/** Takes a saved session's bytes as they are read. */
export interface WasmRestorer {
  push(bytes: Uint8Array): void;
  free(): void;
}

/** {@link ModelInfo} but for the name, which the file may lack, and the hashes, which whoever feeds the loader makes. */
export interface WasmModelInfo extends Omit<ModelInfo, "name" | "sha256"> {
  /** `general.name` */
  name: string | null;
}

/** {@link Inspection} but for the name, which the file may lack. */
export interface WasmInspection extends Omit<Inspection, "name"> {
  /** `general.name` */
  name: string | null;
}

/** The local time, for templates that print it. */
export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  /** 1 to 31. */
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** What a chat template is given. Fields that were not given are absent. */
export interface TemplateRequest {
  messages: readonly ChatCompletionMessageParam[];
  tools?: readonly ChatCompletionTool[];
  add_generation_prompt: boolean;
  /** In place of the model's own. */
  template?: string;
  chat_template_kwargs?: Record<string, unknown>;
  now: LocalTime;
}

/** The fields of `SamplerOptions` in `src/sampler/options.rs`, which has the defaults of those that are absent. */
export type Sampler = { [Field in keyof SamplerParams]?: NonNullable<SamplerParams[Field]> } & {
  /** Pairs of a token id and what is added to its logit. */
  logit_bias?: [number, number][];
  /** 0 to 2^53 - 1. */
  seed: number;
};

/** What an answer has to be: `Constraint` in `src/grammar/mod.rs`. */
export type Constraint =
  | "json_object"
  /** A schema's text. */
  | { json_schema: string }
  /** Of either kind. */
  | { grammar: string }
  | { lark: string }
  | { gbnf: string }
  | { regex: string };

/** What is generated, and how. */
export interface Generating {
  /** Absent: until the context is full. */
  max_tokens?: number;
  /** How many answers. */
  n: number;
  constraint?: Constraint;
  /** Texts that end an answer. */
  stop: readonly string[];
  /** How many of the most probable tokens come with each token and its log-probability; absent: none of it. */
  logprobs?: number;
  ignore_eos: boolean;
  cache_prompt: boolean;
  /** Absent: `error`. */
  context?: "error" | "shift";
  /** Absent: what instructs the whole conversation, and 4 at least. -1: the whole prompt. */
  n_keep?: number;
  sampler: Sampler;
}

/** A conversation to answer, or a text or tokens to go on from. */
export type GenerateRequest = ({ chat: TemplateRequest } | { prompt: string } | { ids: number[] }) &
  Generating;

/** A piece of an answer. */
export interface Piece {
  /** Which answer it is of; they come one after the other. */
  choice: number;
  /** Whole characters, possibly none. */
  text: string;
  /** The tokens that begin in `text`, if they were asked for and there are any. */
  logprobs?: ChatCompletionTokenLogprob[];
  /** With the answer's last piece. */
  finish_reason: FinishReason | null;
}

/** What one step brought. */
export interface Step extends Piece {
  /** How much of the prompt is computed; absent once tokens are drawn. */
  prompt?: { done: number; total: number };
  /** With the last piece of the last answer. */
  timings?: Timings;
}
