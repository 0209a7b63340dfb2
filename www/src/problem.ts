/** What went wrong, in words for the person in front of the page. The engine's own words stay beside it as detail. */
import { capabilities, TallowError, type TallowErrorCode } from "tallow";

export interface Problem {
  code: TallowErrorCode;
  /** What happened. */
  title: string;
  /** What to do about it. */
  advice: string;
  /** The engine's words, for whoever wants to know exactly. */
  detail: string;
}

const words: Record<TallowErrorCode, [title: string, advice: string]> = {
  invalid_model: [
    "This file cannot be read as a model",
    "It may be damaged, cut short, or something other than a GGUF file. Load it again or choose another.",
  ],
  unsupported_model: [
    "This model is of a kind Tallow does not run yet",
    "Tallow runs models of the Llama family in GGUF files. Choose another one.",
  ],
  invalid_request: ["The model cannot take this request", "Check the settings, then try again."],
  context_length_exceeded: [
    "This conversation is longer than the model can remember",
    "Start a new conversation, or ask with a shorter message.",
  ],
  template_error: [
    "The model’s chat template cannot put this conversation into its form",
    "Start a new conversation, or choose another model.",
  ],
  grammar_error: ["The answer’s form cannot be followed", "Check the settings, then try again."],
  out_of_memory: [
    "There is not enough memory for this model",
    "Close other tabs or programs, then try again, or choose a smaller model.",
  ],
  integrity_error: [
    "The download does not match what was promised",
    "It was damaged on its way, and nothing of it has been kept. Try again.",
  ],
  download_failed: [
    "The model could not be downloaded",
    "Check the connection and the address, then try again.",
  ],
  storage_failed: ["The browser’s storage failed", "Make some room on this device, then try again."],
  unsupported_browser: [
    "This browser cannot run the model",
    "It lacks a part of WebAssembly that Tallow needs. A current Chrome, Edge or Firefox has it; a current Safari should.",
  ],
  worker_lost: [
    "The model stopped working",
    "The browser has ended it, most likely to free memory. Load it again.",
  ],
  internal: [
    "Something in Tallow went wrong",
    "Try again. If it happens once more, please report it with the details.",
  ],
};

/** Where the browser has what Tallow needs, but may not use it. */
const forbidden: [title: string, advice: string] = [
  "This page may not run the model",
  "Its Content Security Policy forbids WebAssembly. Another browser does not help: whoever serves the page can allow it.",
];

function isForbidden(): boolean {
  const { module, simd128, atomics } = capabilities();
  return module === null && simd128 && atomics;
}

/** The words for whatever was thrown. What is no `TallowError` is a fault of the page's own. */
export function describeProblem(error: unknown): Problem {
  const code = error instanceof TallowError ? error.code : "internal";
  const [title, advice] = code === "unsupported_browser" && isForbidden() ? forbidden : words[code];
  return { code, title, advice, detail: error instanceof Error ? error.message : String(error) };
}

/** Whether `error` is the answer to a cancel rather than a failure. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
