/**
 * The page's end of the worker: sends calls, hands answers to those who asked, lets generations and scores run one at a
 * time in the order they came. Whatever happens to the worker, every promise given out here settles.
 */

import { abortable } from "./abort.js";
import { TallowError } from "./errors.js";
import type { Timings } from "./openai.js";
import { hasWorkers, openWorker, type OpenedWorker } from "./platform.js";
import { fromWire, type Call, type FromWorker, type Method, type Methods } from "./protocol.js";
import type { ToWorker, WireError, WorkerEvent } from "./protocol.js";
import type { ScoreParams, WireScores } from "./score.js";
import { absoluteUrl } from "./source.js";
import type { Piece } from "./wasm-contract.js";

/** A generation that has started. */
export interface Generation {
  /** Rejects with the signal's reason when the generation is cancelled. */
  ended: Promise<Timings>;
  /** Stops it within one step; does nothing once it has ended. */
  cancel(): void;
}

/** Which script a worker has. */
interface WorkerOptions {
  workerUrl?: string | URL | null | undefined;
}

/** How to ask. */
interface CallOptions {
  signal?: AbortSignal | null | undefined;
  onEvent?: (event: WorkerEvent) => void;
  /** What of the parameters is not copied. */
  transfer?: Transferable[];
}

interface Pending {
  resolve(result: Methods[Method]["result"]): void;
  reject(reason: unknown): void;
  onEvent(event: WorkerEvent): void;
}

/** Owns one worker and with it one model. */
export class Engine {
  readonly #worker: OpenedWorker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  /** Settles when the last generation in the queue has left the worker. */
  #tail: Promise<unknown> = Promise.resolve();
  #lost: TallowError | undefined;

  /** `script` is the worker's, as messages name it. */
  constructor(worker: OpenedWorker, script: string) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.#receive(data));
    worker.addEventListener("messageerror", () => this.#lose("a message from the worker could not be read"));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#lose(`the worker stopped: ${event.message || `its script \`${script}\` could not be loaded`}`);
    });
  }

  /** Asks the worker; rejects at once when `signal` aborts. */
  async call<M extends Method>(
    method: M,
    params: Methods[M]["params"],
    { signal, onEvent = () => {}, transfer = [] }: CallOptions = {},
  ): Promise<Methods[M]["result"]> {
    signal?.throwIfAborted();
    return abortable(this.#ask(this.#nextId++, method, params, onEvent, transfer), signal);
  }

  /**
   * Queues a generation of a session, 0 being the model's own; resolves once the worker has found the request good. `onPiece`
   * is not called before that.
   */
  generate(
    request: string,
    onPiece: (piece: Piece) => void,
    signal?: AbortSignal | null,
    session = 0,
  ): Promise<Generation> {
    const controller = new AbortController();
    const cancel = () => controller.abort();
    const follow = () => controller.abort(signal?.reason);
    if (signal?.aborted) follow();
    signal?.addEventListener("abort", follow);

    return new Promise((resolve, reject) => {
      const onEvent = (event: WorkerEvent) => {
        if (event.event === "started") resolve({ ended, cancel });
        if (event.event === "piece") onPiece(event.piece);
      };
      const ended = this.inTurn("generate", { request, session }, onEvent, controller.signal).finally(() =>
        signal?.removeEventListener("abort", follow),
      );
      ended.catch(reject);
    });
  }

  /** Queues a scoring. An aborted `signal` stops it within one step. */
  score(
    params: ScoreParams,
    onEvent: (event: WorkerEvent) => void,
    signal?: AbortSignal | null,
  ): Promise<WireScores> {
    return this.inTurn("score", params, onEvent, signal ?? undefined);
  }

  /** Ends the worker; what is pending, and all that comes later, rejects with `worker_lost`. */
  dispose(): void {
    this.#lose("the model was disposed of");
  }

  /** Asks once all that came before has left the worker; rejects at once when `signal` aborts. */
  inTurn<M extends Method>(
    method: M,
    params: Methods[M]["params"],
    onEvent: (event: WorkerEvent) => void = () => {},
    signal = new AbortController().signal,
  ): Promise<Methods[M]["result"]> {
    const turn = this.#tail.then(async () => {
      signal.throwIfAborted();
      const id = this.#nextId++;
      const cancel = () => this.#post({ id, method: "cancel" });
      const thrown: unknown[] = [];
      signal.addEventListener("abort", cancel);
      try {
        const result = this.#ask(id, method, params, (event) => {
          // The worker may be one step further than who called off.
          if (signal.aborted || thrown.length > 0) return;
          try {
            onEvent(event);
          } catch (error) {
            // Told of once the worker has stopped: another turn may come then.
            thrown.push(error);
            cancel();
          }
        });
        return await result.finally(() => {
          if (thrown.length > 0) throw thrown[0];
        });
      } finally {
        signal.removeEventListener("abort", cancel);
      }
    });
    this.#tail = turn.catch(() => {});
    return abortable(turn, signal);
  }

  #ask<M extends Method>(
    id: number,
    method: M,
    params: Methods[M]["params"],
    onEvent: (event: WorkerEvent) => void,
    transfer: Transferable[] = [],
  ): Promise<Methods[M]["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#lost) throw this.#lost;
      // The method names the type of its result; the map holds calls of all of them.
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject, onEvent });
      this.#post({ id, method, params } as Call, transfer);
    });
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.event) {
      case "done":
        pending.resolve(message.result);
        break;
      case "cancelled":
        pending.reject(new DOMException("the generation was cancelled", "AbortError"));
        break;
      case "failed":
        pending.reject(fromWire(message.error));
        if (message.dead) this.#lose(whyDead(message.error));
        break;
      default:
        try {
          pending.onEvent(message);
        } catch (error) {
          pending.reject(error);
        }
        return;
    }
    this.#pending.delete(message.id);
  }

  #lose(message: string): void {
    if (this.#lost) return;
    this.#lost = new TallowError("worker_lost", message);
    this.#worker.terminate();
    for (const pending of this.#pending.values()) pending.reject(this.#lost);
    this.#pending.clear();
  }
}

/** An engine on a worker of its own. */
export function openEngine({ workerUrl }: WorkerOptions): Engine {
  if (!hasWorkers()) throw new TallowError("unsupported_browser", "this browser lacks workers");
  const url = workerUrl == null ? undefined : absoluteUrl(workerUrl, "workerUrl");
  const script = url ?? "worker.js";
  try {
    return new Engine(openWorker(url), script);
  } catch (cause) {
    throw new TallowError("worker_lost", `the worker \`${script}\` could not be opened`, { cause });
  }
}

/** Asks a worker that has nothing else to do: it ends with its answer. */
export async function askOnce<M extends Method>(
  method: M,
  params: Methods[M]["params"],
  options: CallOptions & WorkerOptions,
): Promise<Methods[M]["result"]> {
  const engine = openEngine(options);
  try {
    return await engine.call(method, params, options);
  } finally {
    engine.dispose();
  }
}

function whyDead({ code, message }: WireError): string {
  if (code === "worker_lost") return message;
  return `the worker stopped after an error \`${code}\``;
}
