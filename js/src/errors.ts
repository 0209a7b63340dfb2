/**
 * The one error class. `code` says what the caller can do and is stable; `message` names the thing in backticks,
 * expected before got; `cause` keeps what another library reported.
 *
 * The codes are the same list as `ErrorKind` in `src/error.rs`; a test holds the two together.
 */

/** Every {@link TallowErrorCode}, in the order of Rust's `ErrorKind::ALL`. */
export const TALLOW_ERROR_CODES = [
  /** The file is not a well-formed GGUF model. */
  "invalid_model",
  /** The file is well formed, but holds something Tallow does not run. */
  "unsupported_model",
  /** An argument or a request's field is wrong. */
  "invalid_request",
  /** Prompt and answer do not fit the context. */
  "context_length_exceeded",
  /** The chat template does not compile, raised an exception, or ran out of its bounds. */
  "template_error",
  /** A grammar or JSON schema does not compile. */
  "grammar_error",
  /** An allocation was refused. */
  "out_of_memory",
  /** The bytes are not the ones that were asked for. */
  "integrity_error",
  /** The network or the server failed. */
  "download_failed",
  /** The browser's storage, or a file in it, failed. */
  "storage_failed",
  /** The browser lacks something Tallow cannot do without. */
  "unsupported_browser",
  /** The worker that held the model is gone. */
  "worker_lost",
  /** A fault in Tallow itself. */
  "internal",
] as const;

/** What went wrong, as far as a caller can act on it. */
export type TallowErrorCode = (typeof TALLOW_ERROR_CODES)[number];

/**
 * Every failure of this package, except an abort: that rejects with the signal's `reason`, by default a
 * `DOMException` named `AbortError`.
 */
export class TallowError extends Error {
  /** Tells it from other errors where classes do not. */
  override readonly name = "TallowError";
  /** What the caller can act on. */
  readonly code: TallowErrorCode;

  /** An error of this package's kind; pages have no need to make one. */
  constructor(code: TallowErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
