/** `completions.create` and `chat.completions.create`: requests to the engine, answers in OpenAI's shapes. */

import type { Engine } from "./engine.js";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionTokenLogprob,
  Completion,
  CompletionChunk,
  CompletionCreateParams,
  CompletionCreateParamsNonStreaming,
  CompletionCreateParamsStreaming,
  CompletionLogprobs,
  CompletionUsage,
  FinishReason,
  Timings,
  TokenLogprob,
} from "./openai.js";
import { chatRequest, completionRequest } from "./request.js";
import { ChunkStream } from "./stream.js";
import { check } from "./validate.js";

/** What generates: an engine, by its model's own context, or a session. */
type Generator = Pick<Engine, "generate">;

/** What goes with any request. */
export interface RequestOptions {
  /** Cancels the request, also while it waits its turn; it then rejects with the signal's reason. */
  signal?: AbortSignal | null | undefined;
}

/** `model.chat.completions`. */
export class ChatCompletions {
  readonly #engine: Generator;
  readonly #model: string;

  /** @internal */
  constructor(engine: Generator, model: string) {
    this.#engine = engine;
    this.#model = model;
  }

  /**
   * The model's answer to a conversation. With `stream: true` it resolves once the request was found good, to an
   * async iterable of chunks; leaving the loop over it cancels the generation.
   *
   * @throws {@link TallowError} `invalid_request` naming the field, `context_length_exceeded`, `template_error`,
   * `grammar_error`, `out_of_memory`, `worker_lost`; the signal's reason when it aborts. What goes wrong later in a stream
   * rejects there.
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
    const logprobs = (tokens: ChatCompletionTokenLogprob[] = []) =>
      body.logprobs ? { content: tokens, refusal: null } : null;
    if (!body.stream) {
      const { answers, ...numbers } = await generate(this.#engine, request, options.signal);
      const choices = answers.map(({ text, tokens, finish_reason }, index) => ({
        index,
        message: { role: "assistant" as const, content: text, refusal: null },
        finish_reason,
        logprobs: logprobs(tokens),
      }));
      return { ...head("chatcmpl", "chat.completion", this.#model), choices, ...numbers };
    }
    return stream<"chat.completion.chunk", ChatCompletionChunk["choices"][number]>(
      this.#engine,
      request,
      options.signal,
      {
        head: head("chatcmpl", "chat.completion.chunk", this.#model),
        n: body.n ?? 1,
        opening: { delta: { role: "assistant", content: "" }, finish_reason: null, logprobs: null },
        text: (content, tokens) => ({
          delta: { content },
          finish_reason: null,
          logprobs: tokens ? logprobs(tokens) : null,
        }),
        ending: (finish_reason) => ({ delta: {}, finish_reason, logprobs: null }),
        includeUsage: body.stream_options?.include_usage ?? false,
      },
    );
  }
}

/** `model.completions`. */
export class Completions {
  readonly #engine: Generator;
  readonly #model: string;

  /** @internal */
  constructor(engine: Generator, model: string) {
    this.#engine = engine;
    this.#model = model;
  }

  /**
   * The text that follows a prompt; no chat template is applied. With `stream: true` it resolves once the request was
   * found good, to an async iterable of chunks; leaving the loop over it cancels the generation.
   *
   * @throws {@link TallowError} as {@link ChatCompletions.create}, but no `template_error`
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
      const { answers, ...numbers } = await generate(this.#engine, request, options.signal);
      const choices = answers.map(({ text, tokens, finish_reason }, index) => ({
        index,
        text,
        finish_reason,
        logprobs: body.logprobs == null ? null : completionLogprobs(tokens, new Offsets()),
      }));
      return { ...head("cmpl", "text_completion", this.#model), choices, ...numbers };
    }
    const offsets = Array.from({ length: body.n ?? 1 }, () => new Offsets());
    return stream<"text_completion", CompletionChunk["choices"][number]>(
      this.#engine,
      request,
      options.signal,
      {
        head: head("cmpl", "text_completion", this.#model),
        n: offsets.length,
        text: (text, tokens, index) => ({
          text,
          finish_reason: null,
          logprobs: tokens ? completionLogprobs(tokens, offsets[index] as Offsets) : null,
        }),
        ending: (finish_reason) => ({ text: "", finish_reason, logprobs: null }),
        includeUsage: body.stream_options?.include_usage ?? false,
      },
    );
  }
}

/** Where in a text its tokens begin, token by token. */
class Offsets {
  readonly #characters = new TextDecoder("utf-8", { ignoreBOM: true });
  #end = 0;

  next(bytes: readonly number[]): number {
    const begin = this.#end;
    this.#end += this.#characters.decode(Uint8Array.from(bytes), { stream: true }).length;
    return begin;
  }
}

function completionLogprobs(
  tokens: readonly ChatCompletionTokenLogprob[],
  offsets: Offsets,
): CompletionLogprobs {
  return {
    tokens: tokens.map(spelled),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries([...token.top_logprobs, token].map((one) => [spelled(one), one.logprob])),
    ),
    text_offset: tokens.map(({ bytes }) => offsets.next(bytes)),
  };
}

/** A token's text, or where that is none, its bytes, as OpenAI writes them: tokens must not look alike. */
function spelled({ token, bytes }: TokenLogprob): string {
  if (!token.includes("\u{FFFD}")) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
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

/** One answer of a generation. */
interface Answer {
  text: string;
  tokens: ChatCompletionTokenLogprob[];
  finish_reason: FinishReason;
}

/** A generation in one piece. */
async function generate(
  engine: Generator,
  request: string,
  signal: AbortSignal | null | undefined,
): Promise<{ answers: Answer[]; usage: CompletionUsage; timings: Timings }> {
  const answers: Answer[] = [];
  const { ended } = await engine.generate(
    request,
    ({ choice, text, logprobs, finish_reason }) => {
      const answer = (answers[choice] ??= { text: "", tokens: [], finish_reason: "stop" });
      answer.text += text;
      if (logprobs) answer.tokens.push(...logprobs);
      if (finish_reason) answer.finish_reason = finish_reason;
    },
    signal,
  );
  const timings = await ended;
  return { answers, usage: usage(timings), timings };
}

/** How a kind of completion words the choices of its chunks, but for their index. */
interface Wording<ObjectName, Choice> {
  head: Head<ObjectName>;
  n: number;
  /** The chunk before an answer's text, if there is one. */
  opening?: Omit<Choice, "index">;
  text(text: string, tokens: ChatCompletionTokenLogprob[] | undefined, index: number): Omit<Choice, "index">;
  ending(finishReason: FinishReason): Omit<Choice, "index">;
  includeUsage: boolean;
}

type Chunk<ObjectName, Choice> = Head<ObjectName> & {
  choices: Choice[];
  usage?: CompletionUsage | null;
  timings?: Timings;
};

/** A generation as it comes. */
async function stream<ObjectName, Choice extends { index: number }>(
  engine: Generator,
  request: string,
  signal: AbortSignal | null | undefined,
  { head, n, opening, text, ending, includeUsage }: Wording<ObjectName, Choice>,
): Promise<AsyncIterable<Chunk<ObjectName, Choice>>> {
  const chunks = new ChunkStream<Chunk<ObjectName, Choice>>(() => generation.cancel(), signal);
  const chunk = (index: number, choice: Omit<Choice, "index">) => ({
    ...head,
    choices: [{ index, ...choice } as Choice],
    ...(includeUsage && { usage: null }),
  });
  const open = (index: number) => {
    if (opening) chunks.push(chunk(index, opening));
  };
  /** What ends the last answer: it waits for the timings. */
  let last: Chunk<ObjectName, Choice>;

  open(0);
  const generation = await engine.generate(
    request,
    (piece) => {
      const { choice, finish_reason } = piece;
      if (piece.text || piece.logprobs) chunks.push(chunk(choice, text(piece.text, piece.logprobs, choice)));
      if (!finish_reason) return;
      last = chunk(choice, ending(finish_reason));
      if (choice + 1 === n) return;
      chunks.push(last);
      open(choice + 1);
    },
    signal,
  );
  generation.ended.then(
    (timings) => {
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
