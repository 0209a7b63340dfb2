/**
 * A download that goes on where it broke off: by a range request (RFC 9110, section 14), or by passing over what is
 * there already where the server has no ranges. Bytes of two versions of a file are never put together.
 */

import { abortable } from "./abort.js";
import { TallowError } from "./errors.js";

/** One version of a file on a server, as far as the headers show: other origins hide some. */
export interface RemoteVersion {
  etag: string | null;
  lastModified: string | null;
  /** In bytes, without a Content-Encoding; becomes known later where the first answer does not say it. */
  length: number | undefined;
}

export interface DownloadOptions {
  /** The bytes that the caller has already. */
  from?: number | undefined;
  /** What those bytes are a part of. */
  version?: RemoteVersion | undefined;
  /** Whether the caller checks a hash in the end: then a file without a validator can be resumed too. */
  pinned?: boolean | undefined;
  /** The length that the file's own header says, once that was read. */
  expectedLength?: (() => number | undefined) | undefined;
  /** Whether the browser's HTTP cache is left out: the caller stores the file itself. */
  stored?: boolean | undefined;
  signal?: AbortSignal | null | undefined;
  /** How many attempts in a row may bring no new byte. */
  attempts?: number;
  /** Milliseconds before the second attempt, about; they double with each attempt that brings nothing. */
  backoff?: number;
  /** Milliseconds without a byte that end an attempt. */
  stallTimeout?: number;
}

/** A download whose server has begun to answer. */
export interface Download {
  version: RemoteVersion;
  /** The bytes after those that the caller has. Leaving the iteration ends the download. */
  chunks: AsyncIterable<Uint8Array>;
}

/** Thrown where the bytes so far cannot be gone on with: the caller may download anew, from the first byte. */
export class Changed extends TallowError {
  constructor(message: string, options?: ErrorOptions) {
    super("download_failed", message, options);
  }
}

/** A failure that another attempt may mend, after `retryAfter` milliseconds or more. */
class Interruption extends TallowError {
  readonly retryAfter: number;

  constructor(message: string, options?: ErrorOptions & { retryAfter?: number }) {
    super("download_failed", message, options);
    this.retryAfter = options?.retryAfter ?? 0;
  }
}

/** A body that is being read. */
interface Body {
  reader: ReadableStreamDefaultReader<Uint8Array>;
  /** How many of its bytes the caller has already. */
  skip: number;
  /** Where in the file it ends, as Content-Range says. */
  end: number | undefined;
  /** Ends the fetch. */
  attempt: AbortController;
}

const DEFAULTS = { attempts: 6, backoff: 1000, stallTimeout: 20_000 };

/**
 * How many attempts in a row may get no answer at all before the first one. A wrong address and CORS look like a lost network:
 * who has made such a mistake is told in a few seconds.
 */
const UNANSWERED = 3;

/** The longest wait that a server may ask for, in milliseconds. */
const MAX_RETRY_AFTER = 60_000;

const NO_VALIDATOR = "has no ETag and no Last-Modified that could tell its versions apart";

/** The statuses below 500 that ask for another attempt: Request Timeout, Too Early, Too Many Requests. */
const PASSING = [408, 425, 429];

/** Begins a download; rejects with `download_failed`, {@link Changed}, or the signal's reason. */
export async function download(url: string, options: DownloadOptions = {}): Promise<Download> {
  const transfer = new Transfer(url, options);
  const body = await transfer.open();
  return { version: transfer.version, chunks: transfer.read(body) };
}

class Transfer {
  readonly version: RemoteVersion;
  readonly #url: string;
  readonly #options: DownloadOptions & typeof DEFAULTS;
  /** How many bytes the caller has. */
  #offset: number;
  /** Attempts since the last new byte. */
  #fruitless = 0;
  #answered = false;
  /** If-Range is no CORS-safelisted header: another origin may refuse a request that has it. */
  #sendsIfRange = true;
  /** Chromium takes no encoded answer to a range request, not even from a server that has no ranges. */
  #sendsRange = true;

  constructor(url: string, options: DownloadOptions) {
    this.version = { etag: null, lastModified: null, length: undefined, ...options.version };
    this.#url = url;
    this.#options = { ...DEFAULTS, ...options };
    this.#offset = options.from ?? 0;
    if (!this.#resumable) throw new Changed(this.#message(NO_VALIDATOR));
  }

  /** The first good answer, or nothing where no byte is missing. */
  async open(): Promise<Body | undefined> {
    for (;;) {
      try {
        return await this.#ask();
      } catch (error) {
        await this.#pauseAfter(error);
      }
    }
  }

  /** The bytes of `body`, and of as many more as it takes. */
  async *read(body: Body | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    while (body) {
      try {
        yield* this.#drain(body);
        return;
      } catch (error) {
        await this.#pauseAfter(error);
      }
      body = await this.open();
    }
  }

  async #ask(): Promise<Body | undefined> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const attempt = new AbortController();
    signal?.addEventListener("abort", () => attempt.abort(signal.reason), { signal: attempt.signal });
    this.#fruitless++;
    try {
      const ifRange = this.#ifRange;
      const response = await this.#fetch(ifRange, attempt);
      const place = this.#place(response, ifRange !== undefined);
      if (!place) {
        attempt.abort();
        return undefined;
      }
      if (!response.body) throw this.#failure("was answered without a body");
      return { reader: response.body.getReader(), attempt, ...place };
    } catch (error) {
      attempt.abort();
      throw error;
    }
  }

  /** Always of the URL itself: what it redirects to may have expired. */
  async #fetch(ifRange: string | undefined, attempt: AbortController): Promise<Response> {
    const headers = new Headers();
    if (this.#offset > 0 && this.#sendsRange) headers.set("Range", `bytes=${this.#offset}-`);
    if (ifRange !== undefined) headers.set("If-Range", ifRange);
    try {
      const cache = this.#options.stored ? "no-store" : "default";
      const request = { headers, cache, signal: attempt.signal } as const;
      const response = await this.#watched(fetch(this.#url, request), attempt);
      this.#answered = true;
      return response;
    } catch (cause) {
      if (attempt.signal.aborted) throw cause;
      if (!this.#answered && this.#fruitless >= UNANSWERED)
        throw this.#failure("could not be fetched", { cause });
      // An encoded body's length is not known, or was too short.
      if (!this.#sendsIfRange && (this.version.length ?? 0) < this.#offset)
        this.#sendsRange = !this.#sendsRange;
      this.#sendsIfRange = false;
      throw new Interruption(this.#message("could not be fetched"), { cause });
    }
  }

  /** What may stand in If-Range: a date only where there is no ETag, and no ETag that is weak (section 13.1.5). */
  get #ifRange(): string | undefined {
    if (this.#offset === 0 || !this.#sendsIfRange) return undefined;
    const { etag, lastModified } = this.version;
    return (etag?.startsWith("W/") ? undefined : (etag ?? lastModified)) ?? undefined;
  }

  /** Which part of the file an answer is; `undefined` where the file has no more than what is there. */
  #place(response: Response, hadIfRange: boolean): Pick<Body, "skip" | "end"> | undefined {
    const { status, headers } = response;
    const { start, end, length, sent } = extent(response, this.#offset);
    const got = { etag: headers.get("etag"), lastModified: headers.get("last-modified"), length };
    if (status === 416 && this.#offset > 0) {
      this.#check(got, true);
      if ((length ?? this.#lengths[0]) === this.#offset) return undefined;
      throw new Changed(this.#message(statusLine(response)));
    }
    if (!response.ok) throw this.#refusal(response);
    if (status === 206 && isEncoded(headers))
      throw new Changed(this.#message("was answered with a part of an encoded body"));
    if (!(start <= this.#offset)) {
      const expected = `expected \`bytes ${this.#offset}-\`, got \`${headers.get("content-range")}\``;
      throw new Changed(this.#message(`was answered with another range: ${expected}`));
    }
    // Its bytes may be of another place, and would be taken for the file's until there are too many.
    if (end !== undefined && sent !== undefined && sent > end - start) throw this.#overlong(end);

    this.#check(got, this.#offset === 0 || (status === 206 && hadIfRange));
    this.version.etag ??= got.etag;
    this.version.lastModified ??= got.lastModified;
    this.version.length ??= length;
    return { skip: this.#offset - start, end };
  }

  /** Throws {@link Changed} where `got` is another version, or may be one and the server has not `vouched` for it. */
  #check(got: RemoteVersion, vouched: boolean): void {
    const different = (expected: string, found: string) =>
      new Changed(this.#message(`changed on the server: expected ${expected}, got ${found}`));
    const validators = commonValidators(this.version, got);
    if (!validators && !vouched && !this.#options.pinned) throw new Changed(this.#message(NO_VALIDATOR));
    if (validators && validators[0] !== validators[1]) throw different(...validators);
    const { length } = this.version;
    if (length === undefined || length < this.#offset || got.length === undefined) return;
    if (!this.#lengths.includes(got.length)) throw different(`${length} bytes`, `${got.length}`);
  }

  #refusal(response: Response): TallowError {
    const line = statusLine(response);
    if (response.status < 500 && !PASSING.includes(response.status)) return this.#failure(line);
    const wait = retryAfter(response.headers);
    if (wait <= MAX_RETRY_AFTER) return new Interruption(this.#message(line), { retryAfter: wait });
    const seconds = [MAX_RETRY_AFTER, wait].map((ms) => Math.ceil(ms / 1000));
    return this.#failure(`${line}: expected to wait at most ${seconds[0]} s, got ${seconds[1]} s`);
  }

  async *#drain({ reader, skip, end, attempt }: Body): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const { done, value } = await this.#watched(reader.read(), attempt);
        if (done) break;
        const chunk = value.subarray(skip);
        skip -= value.length - chunk.length;
        if (chunk.length === 0) continue;
        this.#offset += chunk.length;
        // Then its bytes may be of another place as well.
        if (end !== undefined && this.#offset > end) throw this.#overlong(end);
        this.#fruitless = 0;
        yield chunk;
      }
    } catch (cause) {
      if (cause instanceof Changed || (attempt.signal.aborted && !(cause instanceof Interruption)))
        throw cause;
      if (this.#lengths[0] === this.#offset) return;
      throw cause instanceof Interruption ? cause : this.#brokenOff({ cause });
    } finally {
      attempt.abort();
    }
    // Browsers do not all tell that a body ended early.
    if (this.#lengths.length > 0 && this.#lengths[0] !== this.#offset) throw this.#brokenOff();
  }

  #overlong(end: number): Changed {
    return new Changed(this.#message(`was answered with more than the range that ends at ${end}`));
  }

  #brokenOff(options?: ErrorOptions): Interruption {
    const [expected] = this.#lengths;
    const detail = expected === undefined ? "" : `: expected ${expected} bytes, got ${this.#offset}`;
    return new Interruption(this.#message(`broke off${detail}`), options);
  }

  /**
   * How long the file may be: as its own header says, and as the server does. Less than what is there cannot be: a
   * file may go on after what its header describes, and the length of an encoded body may look like the file's.
   */
  get #lengths(): number[] {
    return [this.#options.expectedLength?.(), this.version.length].filter(
      (length): length is number => length !== undefined && length >= this.#offset,
    );
  }

  /** `promise`, or a rejection as soon as `attempt` aborts, which it does where nothing comes for too long. */
  #watched<T>(promise: Promise<T>, attempt: AbortController): Promise<T> {
    const { stallTimeout } = this.#options;
    const stalled = () => this.#message(`broke off: nothing came for ${stallTimeout / 1000} s`);
    const timer = setTimeout(() => attempt.abort(new Interruption(stalled())), stallTimeout);
    return abortable(promise, attempt.signal).finally(() => clearTimeout(timer));
  }

  /** Waits for the next attempt, or throws `error` if there is to be none. */
  async #pauseAfter(error: unknown): Promise<void> {
    if (!(error instanceof Interruption) || this.#fruitless >= this.#options.attempts) throw error;
    if (!this.#resumable) throw new Changed(error.message, { cause: error.cause });
    const backoff = this.#options.backoff * 2 ** Math.max(0, this.#fruitless - 1) * (0.5 + Math.random());
    await pause(Math.max(backoff, error.retryAfter), this.#options.signal);
  }

  /** Whether another answer could be told to be of the same version. */
  get #resumable(): boolean {
    const { etag, lastModified } = this.version;
    return this.#offset === 0 || (etag ?? lastModified) !== null || this.#options.pinned === true;
  }

  #failure(detail: string, options?: ErrorOptions): TallowError {
    return new TallowError("download_failed", this.#message(detail), options);
  }

  #message(detail: string): string {
    return `\`${this.#url}\` ${detail}`;
  }
}

/** Where an answer's body lies in the file, the file's length and the body's; what is hidden is as it was asked for. */
function extent(
  { status, headers }: Response,
  offset: number,
): { start: number; end?: number; length: number | undefined; sent: number | undefined } {
  const sent = isEncoded(headers) ? undefined : count(headers.get("content-length"));
  const contentRange = headers.get("content-range");
  if (status !== 206 && status !== 416) return { start: 0, length: sent, sent };
  if (contentRange !== null) {
    const [, start, last, length] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(contentRange) ?? [];
    return { start: Number(start), end: Number(last) + 1, length: count(length), sent };
  }
  const hidden = status === 416 || sent === undefined ? undefined : offset + sent;
  return { start: offset, length: hidden, sent };
}

/** Whether the body is decoded on its way here; S3 keeps `aws-chunked` of uploads that were, which means nothing. */
function isEncoded(headers: Headers): boolean {
  return !/^(identity|aws-chunked)?$/i.test(headers.get("content-encoding") ?? "");
}

/** A header's number, if it is one. */
function count(digits: string | null | undefined): number | undefined {
  return /^\d+$/.test(digits ?? "") ? Number(digits) : undefined;
}

/** The first validator that both have: two that are equal, or the versions are not. */
function commonValidators(a: RemoteVersion, b: RemoteVersion): [string, string] | undefined {
  if (a.etag !== null && b.etag !== null) return [opaqueTag(a.etag), opaqueTag(b.etag)];
  if (a.lastModified !== null && b.lastModified !== null) return [a.lastModified, b.lastModified];
  return undefined;
}

/** Without the mark of a weak ETag: servers weaken one when they encode the body, which is decoded here. */
function opaqueTag(etag: string): string {
  return etag.replace(/^W\//, "");
}

function statusLine({ status, statusText }: Response): string {
  return `was answered with status ${status} ${statusText}`.trimEnd();
}

/** Retry-After in milliseconds; it comes in seconds or as a date. */
function retryAfter(headers: Headers): number {
  const value = headers.get("retry-after") ?? "";
  const seconds = count(value);
  const wait = seconds === undefined ? Date.parse(value) - Date.now() : seconds * 1000;
  return wait > 0 ? wait : 0;
}

/** Resolves after `ms` milliseconds; rejects as soon as `signal` aborts. */
function pause(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  return abortable(elapsed, signal).finally(() => clearTimeout(timer));
}
