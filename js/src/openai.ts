/**
 * Requests and responses in OpenAI's shapes: data only, structurally compatible with the types of the `openai`
 * package. What OpenAI does not have takes llama.cpp's words (`top_k`, `ignore_eos`, `cache_prompt`, `timings`).
 * A field that is not declared here is refused with `invalid_request`.
 */

/** A piece of text in a message's content. */
export interface ChatCompletionContentPartText {
  type: "text";
  text: string;
}

/** A message's text, whole or in parts. */
export type ChatCompletionContent = string | ChatCompletionContentPartText[];

/** A call of a function that the model asked for. */
export interface ChatCompletionMessageToolCall {
  id: string;
  type: "function";
  function: {
    name: string;
    /** JSON, as the model wrote it. */
    arguments: string;
  };
}

/** Instructions that stand before the conversation. */
export interface ChatCompletionSystemMessageParam {
  role: "system";
  content: ChatCompletionContent;
  name?: string;
}

/** What the user said. */
export interface ChatCompletionUserMessageParam {
  role: "user";
  content: ChatCompletionContent;
  name?: string;
}

/** What the model said. */
export interface ChatCompletionAssistantMessageParam {
  role: "assistant";
  content?: ChatCompletionContent | null;
  name?: string;
  tool_calls?: ChatCompletionMessageToolCall[];
}

/** What a function returned. */
export interface ChatCompletionToolMessageParam {
  role: "tool";
  content: ChatCompletionContent;
  tool_call_id: string;
}

/** A message of a conversation. */
export type ChatCompletionMessageParam =
  | ChatCompletionSystemMessageParam
  | ChatCompletionUserMessageParam
  | ChatCompletionAssistantMessageParam
  | ChatCompletionToolMessageParam;

/** A function the model may ask for; what becomes of it is up to the model's template. */
export interface ChatCompletionTool {
  type: "function";
  function: {
    name: string;
    description?: string;
    /** A JSON schema. */
    parameters?: Record<string, unknown>;
    strict?: boolean | null;
  };
}

/** What a stream carries besides the text. */
export interface StreamOptions {
  /** Ends the stream with a chunk without choices that holds `usage`. */
  include_usage?: boolean | undefined;
}

/** The fields that both kinds of completion take. `null` and `undefined` mean the default. */
export interface SamplingParams {
  /** Taken and not looked at: the model is the one that was loaded. */
  model?: string | undefined;
  /** How many tokens to generate at most; until the context is full by default. */
  max_tokens?: number | null | undefined;
  /** 0 always takes the likeliest token, up to 2; 1 by default. */
  temperature?: number | null | undefined;
  /** Draws among the likeliest tokens that together have this probability; 1, all of them, by default. */
  top_p?: number | null | undefined;
  /** Draws among this many of the likeliest tokens; 0, all of them, by default. */
  top_k?: number | null | undefined;
  /** The same seed gives the same tokens; a random one by default. */
  seed?: number | null | undefined;
  /** Goes on after an end-of-generation token; `false` by default. */
  ignore_eos?: boolean | null | undefined;
  /** Keeps what the prompt shares with the last request instead of computing it again; `true` by default. */
  cache_prompt?: boolean | null | undefined;
  /** Only with `stream: true`. */
  stream_options?: StreamOptions | null | undefined;
}

/** The body of `chat.completions.create`, but for `stream`. */
export interface ChatCompletionCreateParamsBase extends SamplingParams {
  messages: readonly ChatCompletionMessageParam[];
  tools?: readonly ChatCompletionTool[] | undefined;
  /** OpenAI's newer word for `max_tokens`; give one of the two. */
  max_completion_tokens?: number | null | undefined;
  /** A Jinja template in place of the model's own. */
  template?: string | null | undefined;
  /** Further variables of the template, such as `{ enable_thinking: false }`. */
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
}

/** A chat completion that arrives in one piece. */
export interface ChatCompletionCreateParamsNonStreaming extends ChatCompletionCreateParamsBase {
  stream?: false | null | undefined;
}

/** A chat completion that arrives as it is generated. */
export interface ChatCompletionCreateParamsStreaming extends ChatCompletionCreateParamsBase {
  stream: true;
}

/** The body of `chat.completions.create`. */
export type ChatCompletionCreateParams =
  ChatCompletionCreateParamsNonStreaming | ChatCompletionCreateParamsStreaming;

/** The body of `completions.create`, but for `stream`. */
export interface CompletionCreateParamsBase extends SamplingParams {
  /** The text to go on from; special tokens in it are parsed. */
  prompt: string;
}

/** A text completion that arrives in one piece. */
export interface CompletionCreateParamsNonStreaming extends CompletionCreateParamsBase {
  stream?: false | null | undefined;
}

/** A text completion that arrives as it is generated. */
export interface CompletionCreateParamsStreaming extends CompletionCreateParamsBase {
  stream: true;
}

/** The body of `completions.create`. */
export type CompletionCreateParams = CompletionCreateParamsNonStreaming | CompletionCreateParamsStreaming;

/** Why a generation ended: at an end-of-generation token, or at `max_tokens` or the end of the context. */
export type FinishReason = "stop" | "length";

/** How many tokens a request took. */
export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: {
    /** The part of the prompt that the last request had left computed. */
    cached_tokens: number;
  };
}

/** How long a request took, in llama.cpp's words. */
export interface Timings {
  /** Prompt tokens computed by this request. */
  prompt_n: number;
  prompt_ms: number;
  /** Tokens generated. */
  predicted_n: number;
  predicted_ms: number;
  /** Prompt tokens that the last request had left computed. */
  cache_n: number;
}

/** What the model answered. */
export interface ChatCompletionMessage {
  role: "assistant";
  content: string;
  refusal: null;
}

/** The answer to `chat.completions.create`. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  /** Seconds since 1970. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: ChatCompletionMessage;
    finish_reason: FinishReason;
    logprobs: null;
  }[];
  usage: CompletionUsage;
  timings: Timings;
}

/** A piece of the answer to `chat.completions.create` with `stream: true`. */
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  /** Seconds since 1970. */
  created: number;
  model: string;
  /** Empty in the chunk that holds `usage`. */
  choices: {
    index: number;
    /** The first chunk has the role, those after it text, the one with the `finish_reason` neither. */
    delta: { role?: "assistant"; content?: string };
    finish_reason: FinishReason | null;
    logprobs: null;
  }[];
  /** With `stream_options.include_usage` only: `null` in every chunk but the last. */
  usage?: CompletionUsage | null;
  /** In the last chunk. */
  timings?: Timings;
}

/** The answer to `completions.create`. */
export interface Completion {
  id: string;
  object: "text_completion";
  /** Seconds since 1970. */
  created: number;
  model: string;
  choices: {
    index: number;
    text: string;
    finish_reason: FinishReason;
    logprobs: null;
  }[];
  usage: CompletionUsage;
  timings: Timings;
}

/** A piece of the answer to `completions.create` with `stream: true`. */
export interface CompletionChunk {
  id: string;
  object: "text_completion";
  /** Seconds since 1970. */
  created: number;
  model: string;
  /** Empty in the chunk that holds `usage`. */
  choices: {
    index: number;
    text: string;
    finish_reason: FinishReason | null;
    logprobs: null;
  }[];
  /** With `stream_options.include_usage` only: `null` in every chunk but the last. */
  usage?: CompletionUsage | null;
  /** In the last chunk. */
  timings?: Timings;
}
