/**
 * A worker and a wasm engine for tests: the worker is `serve` behind a real message channel, so that everything
 * crosses by structured cloning; the engine's tokens are the words of its prompt.
 */

import { createHash } from "node:crypto";
import { onTestFinished, vi } from "vitest";
import type { TallowErrorCode } from "../src/errors.js";
import { loadModel, type LoadModelOptions, type Model } from "../src/index.js";
import { serve } from "../src/serve.js";
import type {
  GenerateRequest,
  LoaderOptions,
  Step,
  WasmGlue,
  WasmLoader,
  WasmModel,
  WasmModelInfo,
  WasmRestorer,
  WasmScoreOptions,
  WasmScorer,
  WasmSha256,
} from "../src/wasm-contract.js";

// What is tested here runs in Node, whose channels hand over many messages before others have a turn.
vi.mock("../src/worker-platform.js", async (original) => {
  const { nextTask } = await import("../src/node/worker-platform.js");
  return { ...(await original<object>()), nextTask };
});

/** What the fake engine says about its model. */
export const INFO: WasmModelInfo = {
  name: "Fake 3B",
  architecture: "llama",
  parameters: 3,
  quantization: { F32: 1, Q4_1: 2 },
  contextLength: 64,
  kvCacheType: "f16",
  trainedContextLength: 128,
  license: null,
  baseModel: null,
  metadata: { "general.architecture": "llama", "tokenizer.ggml.tokens": { type: "string", length: 999 } },
  memory: 65536,
  module: "simd128",
  threads: 1,
};

/** An error as wasm-bindgen throws ours. */
export function wasmError(code: TallowErrorCode, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** How a trap of the engine is told. */
export const TRAP = {
  code: "internal",
  message: "the engine stopped: RuntimeError: unreachable executed",
  cause: { name: "RuntimeError", message: "unreachable executed" },
};

/** A wasm object as wasm-bindgen guards it: one that a trap left in the middle of a method counts as borrowed for good. */
class Guarded {
  #borrowed = false;

  /** Runs a method's body; only what has a code is thrown in good order. */
  protected borrow<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      this.#borrowed = !(error instanceof Error && "code" in error);
      throw error;
    }
  }

  free(): void {
    if (this.#borrowed) throw new Error("attempted to take ownership of Rust value while it was borrowed");
  }
}

/** What a generation's request was, and what became of it. */
export interface Run {
  request: GenerateRequest;
  steps: number;
  cancelled: boolean;
}

/** What a scoring was asked, and what became of it. */
export interface Scoring {
  ids: Uint32Array;
  options: WasmScoreOptions;
  steps: number;
  freed: boolean;
}

/** Chunks that a prompt takes to compute. */
export const PREFILL = 3;

/**
 * Answers a prompt with its words, each a token, `n` times over: those of the i-th answer, from 1, have a log-probability of -i.
 * Some words are special as the first: `endless` goes on for ever, `trap` traps at
 * the second token, `refused` does not start.
 */
class FakeModel implements WasmModel {
  readonly #fakes: Fakes;
  readonly info: () => string;
  #words: string[] = [];
  #now: Run | undefined;
  /** Which answer it is, and how many words of all there were before it. */
  #choice = 0;
  #before = 0;

  /** What each session has seen, as code points. */
  readonly #sessions = new Map<number, number[]>([[0, []]]);
  #made = 0;

  constructor(fakes: Fakes, info: WasmModelInfo) {
    this.#fakes = fakes;
    this.info = () => JSON.stringify(info);
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Uint32Array {
    const ids = Array.from(text, (character) => character.codePointAt(0) ?? 0);
    return Uint32Array.from([...(addSpecial ? [1] : []), ...(parseSpecial ? [2] : []), ...ids]);
  }

  detokenize(ids: Uint32Array): string {
    if (ids.includes(0)) throw wasmError("invalid_request", "`ids[0]` is no token");
    return String.fromCodePoint(...ids);
  }

  applyChatTemplate(request: string): string {
    return request;
  }

  start(json: string, session: number): number {
    const seen = this.#seen(session);
    const request = JSON.parse(json) as GenerateRequest;
    const prompt =
      "chat" in request
        ? String(request.chat.messages.at(-1)?.content)
        : "ids" in request
          ? request.ids.join(" ")
          : request.prompt;
    if (prompt === "refused")
      throw wasmError("context_length_exceeded", "the prompt has 99 tokens, the context 64");
    this.#words = prompt.split(" ");
    seen.splice(0, Infinity, ...Array.from(prompt, (character) => character.codePointAt(0) ?? 0));
    this.#now = { request, steps: 0, cancelled: false };
    this.#choice = this.#before = 0;
    this.#fakes.runs.push(this.#now);
    return this.#words.length;
  }

  step(): string {
    return JSON.stringify(this.#step());
  }

  #step(): Step {
    const run = this.#now;
    if (!run || run.cancelled) throw new Error("step without start");
    const all = run.steps++ - PREFILL;
    const n = all - this.#before;
    const choice = this.#choice;
    this.#fakes.onStep(run);
    if (all < 0) {
      return { choice: 0, text: "", finish_reason: null, prompt: { done: run.steps, total: PREFILL } };
    }
    const [mode] = this.#words;
    if (mode === "trap" && n === 1) throw new WebAssembly.RuntimeError("unreachable executed");
    if (mode === "endless") return { choice: 0, text: `${n} `, finish_reason: null };
    const text = this.#words[n];
    if (text !== undefined && n !== run.request.max_tokens) {
      return { choice, text, finish_reason: null, ...this.#logprobs(run.request, text) };
    }
    const finish_reason = text === undefined ? "stop" : "length";
    // Every answer ends with a step of its own.
    const predicted_n = all - choice;
    this.#choice += 1;
    this.#before = all + 1;
    if (this.#choice < run.request.n) return { choice, text: "", finish_reason };
    const timings = { prompt_n: 4, prompt_ms: 20, predicted_n, predicted_ms: 10, cache_n: 2 };
    return { choice, text: "", finish_reason, timings };
  }

  #logprobs(request: GenerateRequest, token: string): Pick<Step, "logprobs"> {
    if (request.logprobs === undefined) return {};
    const spelled = (word: string, logprob: number) => {
      const bytes = this.#fakes.bytesOf(word) ?? [...new TextEncoder().encode(word)];
      return { token: new TextDecoder().decode(Uint8Array.from(bytes)), logprob, bytes };
    };
    const top = Array.from({ length: request.logprobs }, (_, place) =>
      spelled(`top${place}`, -1 - place / 2),
    );
    return { logprobs: [{ ...spelled(token, -1 - this.#choice), top_logprobs: top }] };
  }

  cancel(): void {
    if (this.#now) this.#now.cancelled = true;
  }

  createSession(): number {
    this.#sessions.set(++this.#made, []);
    return this.#made;
  }

  forkSession(session: number): number {
    const seen = this.#seen(session);
    const fork = this.createSession();
    this.#sessions.set(fork, [...seen]);
    return fork;
  }

  truncateSession(session: number, length: number): void {
    this.#seen(session).splice(length);
  }

  sessionTokens(session: number): Uint32Array {
    return Uint32Array.from(this.#seen(session));
  }

  /** In two pieces: the model's hash, then the tokens. */
  saveSession(session: number, model: Uint8Array, write: (bytes: Uint8Array) => void): void {
    write(model);
    write(Uint8Array.from(this.#seen(session)));
  }

  restorer(session: number, model: Uint8Array): FakeRestorer {
    this.#seen(session);
    return new FakeRestorer(model);
  }

  restoreSession(session: number, saved: WasmRestorer): void {
    this.#seen(session).splice(0, Infinity, ...(saved as FakeRestorer).bytes.slice(32));
  }

  freeSession(session: number): void {
    this.#sessions.delete(session);
  }

  #seen(session: number): number[] {
    const seen = this.#sessions.get(session);
    if (!seen) throw wasmError("invalid_request", "the session was disposed of");
    return seen;
  }

  scorer(ids: Uint32Array, options: string): WasmScorer {
    if (ids.includes(0)) throw wasmError("invalid_request", "`ids[0]` should be below 0, got 0");
    const scoring: Scoring = {
      ids,
      options: JSON.parse(options) as WasmScoreOptions,
      steps: 0,
      freed: false,
    };
    this.#fakes.scorings.push(scoring);
    return new FakeScorer(scoring, this.#fakes);
  }

  texts(ids: Uint32Array): string[] {
    return Array.from(ids, (id) => String.fromCodePoint(id));
  }
}

/** Takes the model's hash and then tokens. At a token that is 254 it traps. */
class FakeRestorer extends Guarded implements WasmRestorer {
  readonly bytes: number[] = [];
  readonly #model: Uint8Array;

  constructor(model: Uint8Array) {
    super();
    this.#model = model;
  }

  push(pushed: Uint8Array): void {
    this.borrow(() => {
      this.bytes.push(...pushed);
      if (this.#model.some((byte, i) => i < this.bytes.length && this.bytes[i] !== byte))
        throw wasmError("integrity_error", "the saved session should be of another model");
      if (this.bytes.indexOf(254, 32) >= 0) throw new WebAssembly.RuntimeError("unreachable executed");
    });
  }
}

/** A step for each id. The best alternatives of every id are `a`, `b`, `c`…, with log-probabilities of -1, -2, -3…. */
class FakeScorer extends Guarded implements WasmScorer {
  readonly #scoring: Scoring;
  readonly #fakes: Fakes;

  constructor(scoring: Scoring, fakes: Fakes) {
    super();
    this.#scoring = scoring;
    this.#fakes = fakes;
  }

  step(): number {
    if (this.#scoring.freed) throw new Error("step after free");
    this.#scoring.steps++;
    this.borrow(() => this.#fakes.onScore(this.#scoring));
    return this.#scoring.steps;
  }

  total(): number {
    return this.#scoring.ids.length;
  }

  logprobs(): Float32Array {
    return Float32Array.from(this.#scoring.ids, (_, i) => (i ? -i : NaN));
  }

  ranks(): Uint32Array {
    return Uint32Array.from(this.#scoring.ids, (_, i) => i);
  }

  entropies(): Float32Array {
    return Float32Array.from(this.#scoring.ids, (_, i) => (i ? i / 2 : NaN));
  }

  topIds(): Uint32Array {
    return Uint32Array.from(this.#top(), (j) => 97 + j);
  }

  topLogprobs(): Float32Array {
    return Float32Array.from(this.#top(), (j) => -1 - j);
  }

  perplexity(): number {
    return 7;
  }

  promptMs(): number {
    return 12;
  }

  override free(): void {
    super.free();
    this.#scoring.freed = true;
  }

  #top(): number[] {
    const { ids, options } = this.#scoring;
    return Array.from({ length: ids.length * options.topLogprobs }, (_, i) => i % options.topLogprobs);
  }
}

/** Takes files whose first four bytes are their length, and the others no 255, and no 254, at which it traps; see {@link fakeFile}. */
class FakeLoader extends Guarded implements WasmLoader {
  #header: number[] = [];
  #loaded = 0;
  readonly #finish: () => WasmModel;

  constructor(finish: () => WasmModel) {
    super();
    this.#finish = finish;
  }

  push(bytes: Uint8Array): void {
    this.borrow(() => {
      if (bytes.includes(255)) throw wasmError("invalid_model", "a byte is 255");
      if (bytes.includes(254)) throw new WebAssembly.RuntimeError("unreachable executed");
    });
    this.#header.push(...bytes.subarray(0, 4 - this.#header.length));
    this.#loaded += bytes.length;
  }

  totalBytes(): number | undefined {
    if (this.#header.length < 4) return undefined;
    return new DataView(Uint8Array.from(this.#header).buffer).getUint32(0, true);
  }

  headerBytes(): number | undefined {
    return this.#header.length < 4 ? undefined : 4;
  }

  nextFile(): void {
    this.#end();
    this.#header = [];
    this.#loaded = 0;
  }

  takePacked(): undefined {}

  pushPacked(): void {
    throw new Error("nothing was packed");
  }

  finish(): WasmModel {
    this.#end();
    return this.#finish();
  }

  #end(): void {
    if (this.#loaded === this.totalBytes()) return;
    throw wasmError(
      "invalid_model",
      `the file ends early: expected ${this.totalBytes()} bytes, got ${this.#loaded}`,
    );
  }
}

/** Node's. */
class FakeSha256 implements WasmSha256 {
  readonly #hash = createHash("sha256");

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  free(): void {}
}

/** A file that the fake engine takes. */
export function fakeFile(length: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(length);
  new DataView(file.buffer).setUint32(0, length, true);
  return file;
}

/** What a test sees of the workers that were opened, and the engine in them. */
export interface Fakes {
  workers: FakeWorker[];
  /** The generations that started, in order. */
  runs: Run[];
  /** Is called in every step of a generation, the first with `steps` 1. */
  onStep: (run: Run) => void;
  /** The scorings that started, in order. */
  scorings: Scoring[];
  /** Is called in every step of a scoring. */
  onScore: (scoring: Scoring) => void;
  /** The bytes of a token that are not those of its word. */
  bytesOf: (word: string) => number[] | undefined;
  /** The URLs that the wasm was started from. */
  wasmUrls: (string | undefined)[];
  /** Bytes that the allocator refused. */
  refused: number;
}

export class FakeWorker extends EventTarget {
  readonly url: string;
  readonly options: WorkerOptions | undefined;
  terminated = false;
  readonly #page: MessagePort;
  readonly #worker: MessagePort;
  #onUnreadable = (): void => {};

  constructor(fakes: Fakes, info: WasmModelInfo, url: string | URL, options?: WorkerOptions) {
    super();
    this.url = String(url);
    this.options = options;
    fakes.workers.push(this);

    const { port1, port2 } = new MessageChannel();
    this.#page = port1;
    this.#worker = port2;
    port1.onmessage = ({ data }: MessageEvent<unknown>) =>
      this.dispatchEvent(new MessageEvent("message", { data }));
    const glue: WasmGlue = {
      default: () => Promise.resolve(),
      chooseRelaxedDot: () => {},
      makePool: () => {},
      meet: () => {},
      help: () => {},
      lose: () => {},
      takeRefused: () => fakes.refused,
      layoutVersion: () => 1,
      Loader: class extends FakeLoader {
        constructor(options: string) {
          const { contextLength, kvCacheType } = JSON.parse(options) as LoaderOptions;
          const context = { ...(contextLength && { contextLength }), ...(kvCacheType && { kvCacheType }) };
          super(() => new FakeModel(fakes, { ...info, ...context }));
        }
      },
      Inspector: class {
        constructor() {
          throw new Error("the fake engine inspects nothing");
        }
      } as unknown as WasmGlue["Inspector"],
      Sha256: FakeSha256,
    };
    const scope = {
      addEventListener: (type: "message" | "messageerror", listener: (event: MessageEvent) => void) => {
        if (type === "message") port2.onmessage = listener;
        else this.#onUnreadable = () => listener(new MessageEvent(type));
      },
      postMessage: (message: unknown) => port2.postMessage(message),
    };
    serve(scope, glue, async (_module, wasmUrl, threads) => {
      fakes.wasmUrls.push(wasmUrl);
      info = { ...info, threads };
      return { used: 2 ** 20, limit: 2 ** 32, threads: Promise.resolve() };
    });
  }

  postMessage(message: unknown, transfer: MessagePort[] = []): void {
    this.#page.postMessage(message, transfer);
  }

  terminate(): void {
    this.terminated = true;
    this.#page.close();
    this.#worker.onmessage = null;
  }

  /** Is sent what it cannot read. */
  misread(): void {
    try {
      this.#onUnreadable();
    } catch (error) {
      this.die(`Uncaught ${String(error)}`);
    }
  }

  /** Dies as a worker does whose script throws. */
  die(message: string): void {
    this.dispatchEvent(Object.assign(new Event("error", { cancelable: true }), { message }));
  }
}

/** Puts {@link FakeWorker} in the place of `Worker` until the test ends. */
export function fakeWorkers(info: WasmModelInfo = INFO): Fakes {
  const fakes: Fakes = {
    workers: [],
    runs: [],
    onStep: () => {},
    bytesOf: () => undefined,
    scorings: [],
    onScore: () => {},
    wasmUrls: [],
    refused: 0,
  };
  vi.stubGlobal(
    "Worker",
    class extends FakeWorker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(fakes, info, url, options);
      }
    },
  );
  onTestFinished(() => {
    vi.unstubAllGlobals();
    for (const worker of fakes.workers) worker.terminate();
  });
  return fakes;
}

/** A model on a fake worker. */
export async function fakeModel(
  options?: LoadModelOptions,
): Promise<{ model: Model; worker: FakeWorker; runs: Run[]; fakes: Fakes }> {
  const fakes = fakeWorkers();
  const model = await loadModel(fakeFile(16).buffer, options);
  const [worker] = fakes.workers;
  if (!worker) throw new Error("no worker was opened");
  return { model, worker, runs: fakes.runs, fakes };
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`resolved to ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
}
