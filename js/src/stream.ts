/** A queue between who produces chunks and who iterates over them. */

interface Waiting<T> {
  resolve(result: IteratorResult<T>): void;
  reject(reason: unknown): void;
}

/**
 * An async iterator that is fed by `push`, `end` and `fail`. Chunks wait until they are asked for. Leaving it, by
 * `break`, `return` or `throw`, calls `onLeave`, unless it had ended. Once `signal` has aborted, chunks that still wait are dropped for its reason.
 */
export class ChunkStream<T> implements AsyncIterableIterator<T> {
  readonly #onLeave: () => void;
  readonly #signal: AbortSignal | null | undefined;
  readonly #chunks: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  /** Set once no chunk will follow; `failure` is then thrown once. */
  #closed = false;
  #failure: { reason: unknown } | undefined;

  constructor(onLeave: () => void, signal?: AbortSignal | null) {
    this.#onLeave = onLeave;
    this.#signal = signal;
  }

  push(chunk: T): void {
    if (this.#closed) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve({ done: false, value: chunk });
    else this.#chunks.push(chunk);
  }

  end(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
  }

  /** Throws `reason` at whoever iterates, after the chunks that wait. */
  fail(reason: unknown): void {
    if (this.#closed) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting.reject(reason);
    else this.#failure = { reason };
    this.end();
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#signal?.aborted && this.#chunks.length > 0) {
      this.#drop();
      return Promise.reject(this.#signal.reason);
    }
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return Promise.resolve({ done: false, value: chunk });
    if (this.#failure) {
      const { reason } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(reason);
    }
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(reason: unknown): Promise<IteratorResult<T>> {
    this.#leave();
    return Promise.reject(reason);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #leave(): void {
    const leftEarly = !this.#closed;
    this.#drop();
    if (leftEarly) this.#onLeave();
  }

  #drop(): void {
    this.#chunks.length = 0;
    this.#failure = undefined;
    this.end();
  }
}
