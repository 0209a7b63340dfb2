/** A loaded model: opens its worker, hands requests on, ends it. */

import { capabilities, type RelaxedDot, type WasmModuleName } from "./capabilities.js";
import { ChatCompletions, Completions, type RequestOptions } from "./completions.js";
import { askOnce, openEngine, type Engine } from "./engine.js";
import { TallowError } from "./errors.js";
import { modelFetch, type ModelFetch } from "./fetch.js";
import type { Inspection, KvCacheType, ModelInfo } from "./info.js";
import type { ChatCompletionMessageParam, ChatCompletionTool } from "./openai.js";
import { isIsolated, sharesMemory, STORES } from "./platform.js";
import { fromWire, type Start, type WorkerEvent } from "./protocol.js";
import { templateRequest } from "./request.js";
import { scoreParams, scoresFromWire, type ScoreOptions, type Scores } from "./score.js";
import { Session } from "./session.js";
import { absoluteUrl, wireSource, type ModelSource } from "./source.js";
import { check, checkCall, invalid } from "./validate.js";

/**
 * How far loading has come. `loaded` never falls, and in the last report it equals `total`. A load that begins anew, since
 * what was stored is damaged or the file has changed on its server, is told of once it is as far as the one before.
 */
export interface LoadProgress {
  /** `download` while bytes arrive, from wherever they come; then `prepare`. */
  phase: "download" | "prepare";
  /** Bytes of the file read so far. */
  loaded: number;
  /** Bytes of the whole file, once they are known. */
  total: number | undefined;
}

/** Options of {@link loadModel}. */
export interface LoadModelOptions {
  /** Is told how loading goes on, some twenty times a second at most. */
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Is told what did not work as it should but did not keep the model from loading, such as storing it. */
  onWarning?: ((warning: TallowError) => void) | undefined;
  /** Stops loading and ends the worker; `loadModel` then rejects with the signal's reason. */
  signal?: AbortSignal | null | undefined;
  /**
   * The SHA-256 that the file must have, in hexadecimal; of several files, one for each. What has another is refused with
   * `integrity_error`, and nothing of it is kept. A stored model had its own when it arrived, and is not hashed again: with
   * another it is discarded and downloaded anew.
   */
  sha256?: string | readonly string[] | undefined;
  /**
   * Whether a model from a URL is stored in the browser and taken from there the next time, without asking the network;
   * `true` by default. {@link cache} lists and deletes what is stored. In Node nothing is, and the default is `false`.
   */
  cache?: boolean | undefined;
  /** The tokens that prompt and answer may have together; by default what the model was trained on, 4096 at most. */
  contextLength?: number | undefined;
  /**
   * How contexts hold keys and values, `f16` by default. `q8_0` takes about half the memory and is a little less exact, `f32`
   * takes twice as much.
   */
  kvCacheType?: KvCacheType | undefined;
  /**
   * The threads that compute, at most 64. By default (`"auto"`) one for each processor, 8 at most, where the page is
   * cross-origin isolated and in Node; elsewhere there can be only one.
   */
  threads?: number | "auto" | undefined;
  /**
   * The wasm module, if it does not lie where the bundler or the package puts it. There are two; for example
   * `` `/static/${capabilities().module}.wasm` ``.
   */
  wasmUrl?: string | URL | undefined;
  /** The worker's script (`tallow/dist/worker.js`), if it does not lie where the bundler or the package puts it. */
  workerUrl?: string | URL | undefined;
}

/** Options of {@link Model.tokenize}. */
export interface TokenizeOptions extends RequestOptions {
  /**
   * Adds the tokens that the model wants around a text, such as its beginning-of-sequence token unless the text begins with
   * it; `false` by default.
   */
  addSpecial?: boolean | undefined;
  /** Reads special tokens written out in the text as such and not as plain text; `false` by default. */
  parseSpecial?: boolean | undefined;
}

/** Options of {@link Model.applyChatTemplate}. */
export interface ApplyChatTemplateOptions extends RequestOptions {
  /** Functions the model may ask for. */
  tools?: readonly ChatCompletionTool[] | undefined;
  /** Ends the text where the assistant's answer begins; `true` by default. */
  addGenerationPrompt?: boolean | undefined;
  /** A Jinja template in place of the model's own. */
  template?: string | undefined;
  /** Further variables of the template, such as `{ enable_thinking: false }`. */
  variables?: Record<string, unknown> | undefined;
}

/**
 * Loads a GGUF model into a worker of its own. The file streams into wasm memory and is never held as a whole.
 *
 * @example
 * ```ts
 * import { loadModel } from "tallow";
 *
 * const model = await loadModel("/models/smollm2-135m-instruct-q4_1.gguf", {
 *   onProgress: ({ loaded, total }) => console.log(`${loaded} of ${total ?? "?"} bytes`),
 * });
 * const stream = await model.chat.completions.create({
 *   messages: [{ role: "user", content: "Why is the sky blue?" }],
 *   stream: true,
 * });
 * for await (const chunk of stream) console.log(chunk.choices[0]?.delta.content ?? "");
 * await model.dispose();
 * ```
 *
 * A model from a URL is stored in the browser as it arrives. What an interrupted load has stored is gone on with.
 *
 * @throws {@link TallowError} `download_failed`, `storage_failed`, `integrity_error`, `invalid_model`, `unsupported_model`,
 * `out_of_memory`, `unsupported_browser`, `worker_lost` or `invalid_request`; the signal's reason when it aborts
 */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
  check("`loadModel`'s options", options);
  const { onProgress, onWarning, signal, threads, cache } = options;
  const started = start(options, threadCount(threads ?? "auto"));
  const { source: wire, transfer, release } = await wireSource(source);
  let engine: Engine | undefined;
  try {
    const params = {
      source: wire,
      sha256: digests(
        options.sha256 ?? undefined,
        "urls" in wire ? wire.urls : "blobs" in wire ? wire.blobs : [wire],
      ),
      cache: cache ?? STORES,
      ...started,
    };
    signal?.throwIfAborted();
    engine = openEngine(options);
    const info = await engine.call("load", params, {
      signal,
      transfer,
      onEvent(event) {
        if (event.event === "progress") onProgress?.(event.progress);
        if (event.event === "warning") onWarning?.(fromWire(event.warning));
      },
    });
    return new Model(engine, info);
  } catch (error) {
    release();
    engine?.dispose();
    throw error;
  }
}

/** Options of {@link inspect}. */
export interface InspectOptions extends Pick<
  LoadModelOptions,
  "signal" | "contextLength" | "kvCacheType" | "wasmUrl" | "workerUrl"
> {}

/**
 * Reads a model's metadata, and no more of its files than their first megabytes: what it is, its licence, what memory it
 * would need, whether it would load. A URL is asked for over the network, also where its model is stored.
 *
 * @example
 * ```ts
 * const { license, memory, problem } = await inspect("/models/smollm2-135m-instruct-q4_1.gguf", { contextLength: 2048 });
 * if (problem) console.log(`does not run here: ${problem.message}`);
 * else if (memory) console.log(`${license}; ${memory.weights + memory.kvCache + memory.rest} bytes`);
 * ```
 *
 * @throws {@link TallowError} `download_failed`, `storage_failed`, `invalid_model` for what is no GGUF model,
 * `unsupported_model` for a version or byte order that cannot be read, and as {@link loadModel}
 */
export async function inspect(source: ModelSource, options: InspectOptions = {}): Promise<Inspection> {
  check("`inspect`'s options", options);
  const { signal } = options;
  const started = start(options, 1);
  const { source: wire, transfer, release } = await wireSource(source);
  try {
    signal?.throwIfAborted();
    const params = { source: wire, ...started };
    return await askOnce("inspect", params, { workerUrl: options.workerUrl, signal, transfer });
  } finally {
    release();
  }
}

function start(
  { wasmUrl, contextLength, kvCacheType }: Pick<InspectOptions, "wasmUrl" | "contextLength" | "kvCacheType">,
  threads: number,
): Start {
  return {
    ...supportedModule(),
    contextLength: contextLength ?? undefined,
    kvCacheType: kvCacheType ?? undefined,
    wasmUrl: wasmUrl == null ? undefined : absoluteUrl(wasmUrl, "wasmUrl"),
    threads,
  };
}

/** One for each of `files`, in lower case. */
function digests(
  sha256: string | readonly string[] | undefined,
  files: readonly unknown[],
): string[] | undefined {
  if (sha256 === undefined) return undefined;
  const given = typeof sha256 === "string" ? [sha256] : sha256;
  if (given.length !== files.length)
    throw invalid(`\`sha256\` should be one for each of ${files.length} files, got ${given.length}`);
  return given.map((digest) => digest.toLowerCase());
}

function supportedModule(): { module: WasmModuleName; relaxedDot: RelaxedDot | null } {
  const { module, relaxedDot, simd128, atomics } = capabilities();
  if (module) return { module, relaxedDot };
  const detail =
    simd128 && atomics
      ? "the page's Content Security Policy keeps WebAssembly from being compiled; `script-src` should have `'wasm-unsafe-eval'`"
      : "this browser lacks WebAssembly's SIMD or atomics";
  throw new TallowError("unsupported_browser", detail);
}

function threadCount(threads: number | "auto"): number {
  if (threads === "auto") return capabilities().threads;
  if (threads === 1 || sharesMemory()) return threads;
  throw invalid(
    isIsolated()
      ? `\`threads\` should be 1 or "auto" in a browser without \`SharedArrayBuffer\`, got ${threads}`
      : `\`threads\` should be 1 or "auto" where the page is not cross-origin isolated, got ${threads}; ` +
          "it is with the headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`",
  );
}

/** A loaded model, from {@link loadModel}. Generations and scores run one at a time; further ones queue in order. */
export class Model {
  /** What the model says about itself. */
  readonly info: ModelInfo;
  /** `model.chat.completions`: answers to conversations. */
  readonly chat: {
    /** Answers to conversations. */
    readonly completions: ChatCompletions;
  };
  /** Continuations of raw text. */
  readonly completions: Completions;
  /**
   * OpenAI's HTTP interface, answered by this model: POST `chat/completions`, `completions`, GET `models`.
   *
   * @example
   * ```ts
   * const client = new OpenAI({
   *   baseURL: "http://tallow.local/v1", // nothing is sent there
   *   apiKey: "none",
   *   fetch: model.fetch,
   *   dangerouslyAllowBrowser: true,
   * });
   * ```
   */
  readonly fetch: ModelFetch;
  readonly #engine: Engine;

  /** @internal */
  constructor(engine: Engine, info: ModelInfo) {
    this.#engine = engine;
    this.info = info;
    this.chat = { completions: new ChatCompletions(engine, info.name) };
    this.completions = new Completions(engine, info.name);
    this.fetch = modelFetch(this);
  }

  /**
   * The token ids of a text.
   *
   * @throws {@link TallowError} `invalid_request`, `worker_lost`
   */
  async tokenize(text: string, options: TokenizeOptions = {}): Promise<Uint32Array> {
    checkCall("`tokenize`'s arguments", { text }, options);
    const { addSpecial, parseSpecial, signal } = options;
    const params = { text, addSpecial: addSpecial ?? false, parseSpecial: parseSpecial ?? false };
    return this.#engine.call("tokenize", params, { signal });
  }

  /**
   * The text of token ids; bytes in it that are no UTF-8 become U+FFFD.
   *
   * @throws {@link TallowError} `invalid_request` for an id outside the vocabulary; `worker_lost`
   */
  async detokenize(ids: Uint32Array | readonly number[], options: RequestOptions = {}): Promise<string> {
    checkCall("`detokenize`'s arguments", { ids }, options);
    return this.#engine.call("detokenize", { ids: Uint32Array.from(ids) }, options);
  }

  /**
   * The text that the model is given for a conversation: its Jinja template, rendered.
   *
   * @throws {@link TallowError} `template_error` where the template raises one or goes beyond a bound; `invalid_request`,
   * `worker_lost`
   */
  async applyChatTemplate(
    messages: readonly ChatCompletionMessageParam[],
    options: ApplyChatTemplateOptions = {},
  ): Promise<string> {
    checkCall("`applyChatTemplate`'s arguments", { messages }, options);
    const request = templateRequest(messages, options);
    return this.#engine.call("applyChatTemplate", { request }, options);
  }

  /**
   * How probable a text is to the model: of every token its log-probability after those before it, its rank, the
   * entropy of what the model expected there, and the best alternatives. It queues with the generations, leaves their
   * cache alone, and takes about as long as a prompt of the same length.
   *
   * A text longer than the window is scored in several windows, each `stride` tokens behind the one before it. A window
   * scores what those before it did not reach: every token is scored once, in the first window after all tokens before
   * it, in the others after `window - stride` or more. Where the text begins with the model's beginning-of-sequence token,
   * every window does: it then stands in the place of the window's first token.
   *
   * @example
   * ```ts
   * const { ids, texts, logprobs, ranks, top, perplexity } = await model.score("The sky is blue.", { topLogprobs: 5 });
   * texts.forEach((text, i) => console.log(text, logprobs[i], ranks[i], top[i]?.map(({ text }) => text)));
   * ```
   *
   * @throws {@link TallowError} `invalid_request` for an empty text, an id outside the vocabulary or an option out of range;
   * `out_of_memory`, `worker_lost`
   */
  async score(
    textOrIds: string | Uint32Array | readonly number[],
    options: ScoreOptions = {},
  ): Promise<Scores> {
    const params = scoreParams(textOrIds, options);
    const { onProgress, signal } = options;
    const onEvent = (event: WorkerEvent) => {
      if (event.event === "scored") onProgress?.(event.progress);
    };
    return scoresFromWire(await this.#engine.score(params, onEvent, signal));
  }

  /**
   * A session: a context of its own, empty. It takes memory as it grows, as the model's own does.
   *
   * @throws {@link TallowError} `worker_lost`
   */
  async createSession(): Promise<Session> {
    return new Session(this.#engine, this.info.name, await this.#engine.call("createSession", {}));
  }

  /**
   * Ends the workers, and with them returns all memory, for which browsers take two seconds where there are several. What
   * is pending rejects with `worker_lost`, as does every later call but this one.
   */
  async dispose(): Promise<void> {
    this.#engine.dispose();
  }
}
