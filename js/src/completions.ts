/** `completions.create` and `chat.completions.create`: requests to the engine, answers in OpenAI's shapes. */

import type { Engine } from "./engine.js";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  Completion,
  CompletionChunk,
  CompletionCreateParams,
  CompletionCreateParamsNonStreaming,
  CompletionCreateParamsStreaming,
  CompletionUsage,
  FinishReason,
  Timings,
} from "./openai.js";
import { chatRequest, completionRequest } from "./request.js";
import { ChunkStream } from "./stream.js";
import { check } from "./validate.js";

/** What goes with any request. */
export interface RequestOptions {
  /** Cancels the request, also while it waits its turn; it then rejects with the signal's reason. */
  signal?: AbortSignal | null | undefined;
}

/** `model.chat.completions`. */
export class ChatCompletions {
  readonly #engine: Engine;
  readonly #model: string;

  /** @internal */
  constructor(engine: Engine, model: string) {
    this.#engine = engine;
    this.#model = model;
  }

  /**
   * The model's answer to a conversation. With `stream: true` it resolves once the request was found good, to an
   * async iterable of chunks; leaving the loop over it cancels the generation.
   */
  create(body: ChatCompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<ChatCompletion>;
  create(
    body: ChatCompletionCreateParamsStreaming,
    options?: RequestOptions,
  ): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(
    body: ChatCompletionCreateParams,
    options?: RequestOptions,
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
  async create(
    body: ChatCompletionCreateParams,
    options: RequestOptions = {},
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    check("the options of a request", options);
    const request = chatRequest(body);
    if (!body.stream) {
      const { text, finish_reason, ...numbers } = await generate(this.#engine, request, options.signal);
      const message = { role: "assistant" as const, content: text, refusal: null };
      const choices = [{ index: 0, message, finish_reason, logprobs: null }];
      return { ...head("chatcmpl", "chat.completion", this.#model), choices, ...numbers };
    }
    return stream<"chat.completion.chunk", ChatCompletionChunk["choices"][number]>(
      this.#engine,
      request,
      options.signal,
      {
        head: head("chatcmpl", "chat.completion.chunk", this.#model),
        opening: { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null, logprobs: null },
        text: (content) => ({ index: 0, delta: { content }, finish_reason: null, logprobs: null }),
        ending: (finish_reason) => ({ index: 0, delta: {}, finish_reason, logprobs: null }),
        includeUsage: body.stream_options?.include_usage ?? false,
      },
    );
  }
}

/** `model.completions`. */
export class Completions {
  readonly #engine: Engine;
  readonly #model: string;

  /** @internal */
  constructor(engine: Engine, model: string) {
    this.#engine = engine;
    this.#model = model;
  }

  /**
   * The text that follows a prompt; no chat template is applied. With `stream: true` it resolves once the request was
   * found good, to an async iterable of chunks; leaving the loop over it cancels the generation.
   */
  create(body: CompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<Completion>;
  create(
    body: CompletionCreateParamsStreaming,
    options?: RequestOptions,
  ): Promise<AsyncIterable<CompletionChunk>>;
  create(
    body: CompletionCreateParams,
    options?: RequestOptions,
  ): Promise<Completion | AsyncIterable<CompletionChunk>>;
  async create(
    body: CompletionCreateParams,
    options: RequestOptions = {},
  ): Promise<Completion | AsyncIterable<CompletionChunk>> {
    check("the options of a request", options);
    const request = completionRequest(body);
    if (!body.stream) {
      const { text, finish_reason, ...numbers } = await generate(this.#engine, request, options.signal);
      const choices = [{ index: 0, text, finish_reason, logprobs: null }];
      return { ...head("cmpl", "text_completion", this.#model), choices, ...numbers };
    }
    return stream<"text_completion", CompletionChunk["choices"][number]>(
      this.#engine,
      request,
      options.signal,
      {
        head: head("cmpl", "text_completion", this.#model),
        text: (text) => ({ index: 0, text, finish_reason: null, logprobs: null }),
        ending: (finish_reason) => ({ index: 0, text: "", finish_reason, logprobs: null }),
        includeUsage: body.stream_options?.include_usage ?? false,
      },
    );
  }
}

/** What an answer and all chunks of one have in common. */
interface Head<ObjectName> {
  id: string;
  object: ObjectName;
  created: number;
  model: string;
}

function head<ObjectName>(prefix: string, object: ObjectName, model: string): Head<ObjectName> {
  const random = Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36));
  return { id: `${prefix}-${random.join("")}`, object, created: Math.floor(Date.now() / 1000), model };
}

function usage({ prompt_n, cache_n, predicted_n }: Timings): CompletionUsage {
  const prompt_tokens = prompt_n + cache_n;
  return {
    prompt_tokens,
    completion_tokens: predicted_n,
    total_tokens: prompt_tokens + predicted_n,
    prompt_tokens_details: { cached_tokens: cache_n },
  };
}

/** A generation in one piece. */
async function generate(
  engine: Engine,
  request: string,
  signal: AbortSignal | null | undefined,
): Promise<{ text: string; finish_reason: FinishReason; usage: CompletionUsage; timings: Timings }> {
  let text = "";
  const { ended } = await engine.generate(request, (piece) => (text += piece), signal);
  const { finish_reason, timings } = await ended;
  return { text, finish_reason, usage: usage(timings), timings };
}

/** How a kind of completion words the choices of its chunks. */
interface Wording<ObjectName, Choice> {
  head: Head<ObjectName>;
  /** The chunk before any text, if there is one. */
  opening?: Choice;
  text(text: string): Choice;
  ending(finishReason: FinishReason): Choice;
  includeUsage: boolean;
}

type Chunk<ObjectName, Choice> = Head<ObjectName> & {
  choices: Choice[];
  usage?: CompletionUsage | null;
  timings?: Timings;
};

/** A generation as it comes. */
async function stream<ObjectName, Choice>(
  engine: Engine,
  request: string,
  signal: AbortSignal | null | undefined,
  { head, opening, text, ending, includeUsage }: Wording<ObjectName, Choice>,
): Promise<AsyncIterable<Chunk<ObjectName, Choice>>> {
  const chunk = (choice: Choice) => ({ ...head, choices: [choice], ...(includeUsage && { usage: null }) });
  const chunks = new ChunkStream<Chunk<ObjectName, Choice>>(() => generation.cancel(), signal);
  if (opening) chunks.push(chunk(opening));

  const generation = await engine.generate(request, (piece) => chunks.push(chunk(text(piece))), signal);
  generation.ended.then(
    ({ finish_reason, timings }) => {
      const last = chunk(ending(finish_reason));
      if (includeUsage) {
        chunks.push(last);
        chunks.push({ ...head, choices: [], usage: usage(timings), timings });
      } else {
        chunks.push({ ...last, timings });
      }
      chunks.end();
    },
    (reason: unknown) => chunks.fail(reason),
  );
  return chunks;
}
