/**
 * Stands in for the package `tallow` in the page's own tests: the same functions and types, but a model that is a
 * script. What it does is chosen by words in the model's URL and in the last message:
 *
 * | URL has | loading | | message has | the answer |
 * | --- | --- | --- | --- | --- |
 * | `slow` | never ends | | `markdown` | shows a list, a table and code |
 * | `broken`, `offline`, `unsupported`, `memory` | fails | | `echo …` | says the rest |
 * | | | | `forever` | never ends |
 * | | | | `too long`, `lost`, `fault` | fails |
 * | `unstored` | warns | | `fill` | fills the context |
 */
import type {
  Capabilities,
  ChatCompletionChunk,
  ChatCompletionCreateParamsStreaming,
  LoadModelOptions,
  CachedModel,
  CacheSource,
  ModelCache,
  ModelInfo,
  ModelSource,
  RequestOptions,
  TallowErrorCode,
} from "tallow";

export type * from "tallow";

export class TallowError extends Error {
  override readonly name = "TallowError";
  readonly code: TallowErrorCode;

  constructor(code: TallowErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const TALLOW_ERROR_CODES: readonly TallowErrorCode[] = [
  "invalid_model",
  "unsupported_model",
  "invalid_request",
  "context_length_exceeded",
  "template_error",
  "grammar_error",
  "out_of_memory",
  "integrity_error",
  "download_failed",
  "storage_failed",
  "unsupported_browser",
  "worker_lost",
  "internal",
];

/** What happened to the fakes: for tests that look behind the page. */
export const record = { loads: 0, disposed: 0, requests: [] as ChatCompletionCreateParamsStreaming[] };

export const info: ModelInfo = {
  name: "SmolLM2 135M Instruct",
  architecture: "llama",
  parameters: 134_515_008,
  quantization: { Q4_1: 116_000_000, Q8_0: 18_479_872, F32: 35_136 },
  contextLength: 4096,
  kvCacheType: "f16",
  trainedContextLength: 8192,
  license: "apache-2.0",
  baseModel: "SmolLM2 135M",
  metadata: {
    "general.architecture": "llama",
    "general.name": "SmolLM2 135M Instruct",
    "llama.context_length": 8192,
    "llama.embedding_length": 576,
    "tokenizer.ggml.tokens": { type: "string", length: 49152 },
    "tokenizer.chat_template": "{% for message in messages %}…{% endfor %}",
  },
  sha256: ["b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"],
  memory: 118_300_000,
  module: "relaxed",
  threads: 8,
};

/** What the browser can run: for tests of one that cannot. */
export const browser: Pick<Capabilities, "module" | "atomics"> = { module: "relaxed", atomics: true };

/** Unit tests have no page. */
const page = "location" in globalThis ? location.href : "http://localhost/";

/** What is stored; `?locked` in the page's address keeps it from being deleted. */
let stored: CachedModel[] = [
  {
    urls: [new URL("models/smollm2-135m-instruct-q4_1.gguf", page).href],
    complete: true,
    sha256: [...info.sha256],
    fileBytes: 98_362_432,
    storedBytes: 196_800_000,
  },
  {
    urls: ["https://a.example/other-00001-of-00002.gguf", "https://a.example/other-00002-of-00002.gguf"],
    complete: false,
    sha256: null,
    fileBytes: 12_000_000,
    storedBytes: 12_000_000,
  },
];

export const cache: ModelCache = {
  async list() {
    return stored;
  },
  async delete(...args: [source?: CacheSource, options?: object]) {
    const [source] = args;
    if (args.length === 1 && source === undefined)
      throw new TallowError("invalid_request", "`source` should be a URL, got undefined");
    if (location.search.includes("locked"))
      throw new TallowError("storage_failed", "the file could not be deleted");
    const urls = JSON.stringify(source);
    stored = source === undefined ? [] : stored.filter((model) => JSON.stringify(model.urls) !== urls);
  },
  async estimate() {
    const usage = stored.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    return { usage, quota: 10_000_000_000, persisted: false };
  },
  async persist() {
    return false;
  },
};

const failures: Record<string, [TallowErrorCode, string]> = {
  broken: ["invalid_model", "magic: expected `GGUF`, got `<!do`"],
  unsupported: ["unsupported_model", "`general.architecture` is `gemma3`, expected `llama`"],
  offline: ["download_failed", "`http://localhost/models/offline.gguf`: expected status 200 or 206, got 404"],
  memory: ["out_of_memory", "memory for `blk.14.ffn_up.weight`: 9437184 bytes were refused"],
};

const markdown = `Here is what a **candle** needs, with a [note](https://example.org) beside it:

1. A wick of cotton
2. Wax, such as *tallow* or beeswax
   - soft wax for containers
   - hard wax for pillars
3. A steady hand and \`patience\`

| Wax | Melts at | Burns |
| --- | ---: | --- |
| Tallow | 45 °C | warm, a little smoky |
| Beeswax | 63 °C | slowly and bright |
| Paraffin | 58 °C | evenly |

And a candle in Python:

\`\`\`python
def burn(candle, minutes):
    """How much is left, in millimetres."""
    for minute in range(minutes):
        candle.height -= candle.rate  # a little every minute
    return max(candle.height, 0)
\`\`\`

> Light one before the old one goes out.`;

const plain =
  "A candle gives light because its heat melts the wax, the wick draws it up, and the vapour burns. " +
  "The blue at the base is where it burns cleanest; the yellow above is soot that glows.";

export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<FakeModel> {
  const { onProgress, onWarning, signal } = options;
  const name = source instanceof File ? source.name : String(source);
  record.loads += 1;
  signal?.throwIfAborted();
  for (const [word, [code, message]] of Object.entries(failures)) {
    if (!name.includes(word)) continue;
    await wait(30, signal);
    throw new TallowError(code, message);
  }
  if (name.includes("unstored")) onWarning?.(new TallowError("storage_failed", "the storage is full"));
  const total = 98_362_432;
  const step = name.includes("slow") ? 0.43 : 1;
  for (let share = 0; share <= step; share += step / 4) {
    onProgress?.({ phase: "download", loaded: Math.round(share * total), total });
    await wait(name.includes("slow") ? 120 : 5, signal);
  }
  if (name.includes("slow")) await wait(2 ** 30, signal);
  onProgress?.({ phase: "prepare", loaded: total, total });
  await wait(5, signal);
  return new FakeModel();
}

export function capabilities() {
  return {
    ...browser,
    simd128: true,
    relaxedSimd: true,
    crossOriginIsolated: globalThis.crossOriginIsolated,
    hardwareConcurrency: 8,
    threads: 8,
  };
}

class FakeModel {
  readonly info = info;
  readonly chat = { completions: { create: answer } };

  async dispose(): Promise<void> {
    record.disposed += 1;
  }
}

async function answer(body: ChatCompletionCreateParamsStreaming, { signal }: RequestOptions = {}) {
  record.requests.push(body);
  signal?.throwIfAborted();
  return stream(body, signal);
}

async function* stream(
  body: ChatCompletionCreateParamsStreaming,
  signal: AbortSignal | null | undefined,
): AsyncGenerator<ChatCompletionChunk> {
  const question = String(body.messages.at(-1)?.content);
  await wait(10, signal);
  if (question.includes("too long"))
    throw new TallowError("context_length_exceeded", "prompt: expected at most 4096 tokens, got 5120");
  if (question.includes("lost")) throw new TallowError("worker_lost", "the worker ended without an answer");
  if (question.includes("fault")) throw new TallowError("internal", "logits: expected 49152 values, got 0");

  const pieces = answerTo(question).match(/\s*\S+|\s+$/g) ?? [];
  yield chunk({ role: "assistant" });
  for (let count = 0; ; count += 1) {
    const piece = question.includes("forever") ? pieces[count % pieces.length] : pieces[count];
    if (piece === undefined || count === body.max_tokens) break;
    await wait(question.includes("forever") ? 20 : 2, signal);
    yield chunk({ content: piece });
  }
  const predicted_n = Math.min(pieces.length, body.max_tokens ?? Infinity);
  const cut = predicted_n < pieces.length || question.includes("fill");
  yield {
    ...chunk({}, cut ? "length" : "stop"),
    timings: { prompt_n: 31, prompt_ms: 212, predicted_n, predicted_ms: predicted_n * 22.5, cache_n: 0 },
  };
  const total_tokens = question.includes("fill") ? info.contextLength : 31 + predicted_n;
  const usage = { prompt_tokens: 31, completion_tokens: predicted_n, total_tokens };
  yield { ...chunk({}), choices: [], usage: { ...usage, prompt_tokens_details: { cached_tokens: 0 } } };
}

function answerTo(question: string): string {
  if (question.startsWith("echo ")) return question.slice(5);
  return question.includes("markdown") ? markdown : plain;
}

type Choice = ChatCompletionChunk["choices"][number];

function chunk(delta: Choice["delta"], finish_reason: Choice["finish_reason"] = null): ChatCompletionChunk {
  return {
    id: "chatcmpl-fake",
    object: "chat.completion.chunk",
    created: 0,
    model: info.name,
    choices: [{ index: 0, delta, finish_reason, logprobs: null }],
  };
}

/** Settles after `ms`, or rejects as soon as `signal` aborts. */
function wait(ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
