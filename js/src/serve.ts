/**
 * The worker's end: answers the page's calls from one wasm instance. A generation, and a scoring, gives way to waiting
 * messages after every step, so a cancel takes effect within one chunk of the prompt or one token.
 */

import type { WasmModuleName } from "./capabilities.js";
import { TallowError } from "./errors.js";
import { free } from "./free.js";
import type { Inspection, ModelInfo } from "./info.js";
import { inspectSource } from "./inspect-source.js";
import { load } from "./load.js";
import type { LoadProgress } from "./model.js";
import type { Timings } from "./openai.js";
import {
  hasCode,
  toWire,
  type Call,
  type FromWorker,
  type Methods,
  type Start,
  type ToWorker,
  type WireError,
} from "./protocol.js";
import type { ScoreParams, WireScores } from "./score.js";
import { modelHash, restoreSession, saveSession } from "./saved-session.js";
import { deleteStored, listStored } from "./stored-models.js";
import type { LoaderOptions, Step, WasmGlue, WasmModel, WasmModelInfo, WasmScorer } from "./wasm-contract.js";
import { nextTask, readable, type WorkerScope } from "./worker-platform.js";

/** The engine's memory, in bytes: what it has now, and what it can have. */
export interface EngineMemory {
  readonly used: number;
  readonly limit: number;
}

/** A wasm module that was instantiated. */
export interface StartedWasm extends EngineMemory {
  /** Resolves when all threads have joined. What needs none of them is done meanwhile. */
  readonly threads: Promise<void>;
}

/** Instantiates a wasm module, from `wasmUrl` if there is one, with `threads` threads. */
export type StartWasm = (
  module: WasmModuleName,
  wasmUrl: string | undefined,
  threads: number,
) => Promise<StartedWasm>;

/** Milliseconds between two reports of progress. */
const PROGRESS_INTERVAL = 50;

/** A generation or a scoring that the page no longer wants. */
class Cancelled extends Error {}

/** Answers the messages that `scope` receives. */
export function serve(scope: WorkerScope<ToWorker, FromWorker>, glue: WasmGlue, startWasm: StartWasm): void {
  const server = new Server(glue, startWasm, (message) => scope.postMessage(message));
  scope.addEventListener("message", ({ data }) => {
    if (data.method === "cancel") server.cancel(data.id);
    else void server.answer(data);
  });
  // Whose call it was is not known. What a listener throws is the worker's error, which the page waits for as well.
  scope.addEventListener("messageerror", () => {
    throw new TallowError("internal", "a message from the page could not be read");
  });
}

class Server {
  readonly #glue: WasmGlue;
  readonly #startWasm: StartWasm;
  readonly #post: (message: FromWorker) => void;
  #memory: EngineMemory | undefined;
  #loaded: WasmModel | undefined;
  #hash = new Uint8Array();
  #generation: { id: number; cancelled: boolean } | undefined;

  constructor(glue: WasmGlue, startWasm: StartWasm, post: (message: FromWorker) => void) {
    this.#glue = glue;
    this.#startWasm = startWasm;
    this.#post = post;
  }

  cancel(id: number): void {
    if (this.#generation?.id === id) this.#generation.cancelled = true;
  }

  async answer(call: Call): Promise<void> {
    const { id } = call;
    try {
      this.#post({ id, event: "done", result: await this.#run(call) });
    } catch (error) {
      if (error instanceof Cancelled) this.#post({ id, event: "cancelled" });
      else this.#post({ id, event: "failed", ...this.#failure(error) });
    }
  }

  /** Never throws, whatever the wasm does: the page waits. */
  #failure(error: unknown): { error: WireError; dead: boolean } {
    try {
      return { error: this.#describe(error), dead: isDeath(error) };
    } catch (another) {
      const message = `the engine stopped: ${error}; and then: ${another}`;
      return { error: toWire(new TallowError("internal", message, { cause: another })), dead: true };
    }
  }

  /** An error's words; of memory that was wanted and not there, also what is, and where that led to a trap. */
  #describe(error: unknown): WireError {
    if (!this.#memory) return toWire(error);
    const refused = this.#glue.takeRefused();
    const wire =
      refused > 0 && isDeath(error)
        ? toWire(new TallowError("out_of_memory", `${refused} bytes were refused`, { cause: error }))
        : toWire(error);
    if (wire.code !== "out_of_memory") return wire;
    const { used, limit } = this.#memory;
    return { ...wire, message: `${wire.message}; ${used} of at most ${limit} bytes are in use` };
  }

  #run({
    id,
    method,
    params,
  }: Call): Methods[Call["method"]]["result"] | Promise<Methods[Call["method"]]["result"]> {
    switch (method) {
      case "load":
        return this.#load(id, params);
      case "inspect":
        return this.#inspect(params);
      case "listStored":
        return listStored();
      case "deleteStored":
        return deleteStored(params.urls);
      case "tokenize":
        return this.#model.tokenize(params.text, params.addSpecial, params.parseSpecial);
      case "detokenize":
        return this.#model.detokenize(params.ids);
      case "applyChatTemplate":
        return this.#model.applyChatTemplate(params.request);
      case "generate":
        return this.#generate(id, params);
      case "score":
        return this.#score(id, params);
      case "createSession":
        return this.#model.createSession();
      case "fork":
        return this.#model.forkSession(params.session);
      case "truncate":
        return this.#model.truncateSession(params.session, params.length);
      case "tokens":
        return this.#model.sessionTokens(params.session);
      case "save":
        return saveSession(this.#model, params.session, this.#hash);
      case "restore":
        return restoreSession(this.#model, params.session, this.#hash, params.saved);
      case "free":
        return this.#model.freeSession(params.session);
    }
  }

  get #model(): WasmModel {
    if (!this.#loaded) throw new TallowError("internal", "the worker was asked before its model was loaded");
    return this.#loaded;
  }

  async #load(id: number, params: Methods["load"]["params"]): Promise<ModelInfo> {
    const { source, sha256, cache } = params;
    const started = this.#start(params);
    started.catch(() => {});
    const loading = load(
      this.#glue,
      { source: await readable(source), sha256, cache, options: started.then(({ options }) => options) },
      {
        progress: everySoOften((progress) => this.#post({ id, event: "progress", progress })),
        warning: (warning) => this.#post({ id, event: "warning", warning: toWire(warning) }),
      },
    );
    const [{ model, sha256: digests }] = await Promise.all([loading, started.then(({ threads }) => threads)]);
    this.#loaded = model;
    this.#hash = modelHash(this.#glue, digests);
    const info = JSON.parse(model.info()) as WasmModelInfo;
    return { ...info, name: info.name || source.name || info.architecture, sha256: digests };
  }

  async #inspect(params: Methods["inspect"]["params"]): Promise<Inspection> {
    const { source } = params;
    const { options } = await this.#start(params);
    const found = await inspectSource(this.#glue, await readable(source), options);
    return { ...found, name: found.name || source.name || found.architecture };
  }

  async #start(start: Start): Promise<{ options: LoaderOptions; threads: Promise<void> }> {
    const { module, relaxedDot, wasmUrl, threads, contextLength, kvCacheType } = start;
    const started = (this.#memory = await this.#startWasm(module, wasmUrl, threads));
    if (relaxedDot) this.#glue.chooseRelaxedDot(relaxedDot);
    const options = { memoryLimit: started.limit, contextLength, kvCacheType };
    return { options, threads: started.threads };
  }

  async #generate(id: number, { request, session }: Methods["generate"]["params"]): Promise<Timings> {
    const model = this.#model;
    model.start(request, session);
    this.#post({ id, event: "started" });

    const generation = (this.#generation = { id, cancelled: false });
    for (;;) {
      const { prompt, timings, ...piece } = JSON.parse(model.step()) as Step;
      if (piece.text || piece.logprobs || piece.finish_reason) this.#post({ id, event: "piece", piece });
      if (timings) return timings;
      await nextTask();
      if (generation.cancelled) {
        model.cancel();
        throw new Cancelled();
      }
    }
  }

  async #score(id: number, params: ScoreParams): Promise<WireScores> {
    const model = this.#model;
    const { input, addSpecial, parseSpecial, options } = params;
    const ids = typeof input === "string" ? model.tokenize(input, addSpecial, parseSpecial) : input;
    const scorer = model.scorer(ids, options);
    const scoring = (this.#generation = { id, cancelled: false });
    try {
      for (const total = scorer.total(); ;) {
        const done = scorer.step(model);
        this.#post({ id, event: "scored", progress: { done, total } });
        if (done === total) return found(model, scorer, ids);
        await nextTask();
        if (scoring.cancelled) throw new Cancelled();
      }
    } finally {
      free(scorer);
    }
  }
}

/** What was found, for the page. */
function found(model: WasmModel, scorer: WasmScorer, ids: Uint32Array): WireScores {
  const topIds = scorer.topIds();
  const used = Uint32Array.from(new Set([...ids, ...topIds]));
  const texts = model.texts(used);
  return {
    ids,
    texts: new Map(Array.from(used, (id, i) => [id, texts[i] ?? ""])),
    logprobs: scorer.logprobs(),
    ranks: scorer.ranks(),
    entropies: scorer.entropies(),
    topIds,
    topLogprobs: scorer.topLogprobs(),
    perplexity: scorer.perplexity(),
    timings: { prompt_n: scorer.total(), prompt_ms: scorer.promptMs() },
  };
}

/**
 * `report`, but for what comes sooner after another report, or is no progress: a load may begin anew, and with a shorter
 * file end before it is as far again.
 */
function everySoOften(report: (progress: LoadProgress) => void): (progress: LoadProgress) => void {
  let reportedAt = -Infinity;
  let furthest = 0;
  return ({ phase, loaded, total }) => {
    const now = performance.now();
    if (phase === "download" && (now - reportedAt < PROGRESS_INTERVAL || loaded < furthest)) return;
    reportedAt = now;
    furthest = Math.max(furthest, loaded);
    report({ phase, loaded: furthest, total: phase === "prepare" ? furthest : total });
  };
}

/** Whether the wasm is not to be called again: it trapped, here or in a compute worker. */
function isDeath(error: unknown): boolean {
  return !hasCode(error) || error.code === "worker_lost";
}
