/**
 * Requests and responses in OpenAI's shapes: data only, structurally compatible with the types of the `openai`
 * package. What OpenAI does not have takes llama.cpp's words (`top_k`, `min_p`, `ignore_eos`, `cache_prompt`, `timings`).
 * A field that is not declared here is refused with `invalid_request`.
 */

/** A piece of text in a message's content. */
export interface ChatCompletionContentPartText {
  /** Tells the kinds apart. */
  type: "text";
  /** The text. */
  text: string;
}

/** A message's text, whole or in parts. */
export type ChatCompletionContent = string | ChatCompletionContentPartText[];

/** A call of a function that the model asked for. */
export interface ChatCompletionMessageToolCall {
  /** What the answer to the call names it by. */
  id: string;
  /** Tells the kinds apart. */
  type: "function";
  /** The function. */
  function: {
    /** Its name. */
    name: string;
    /** JSON, as the model wrote it. */
    arguments: string;
  };
}

/** Instructions that stand before the conversation. */
export interface ChatCompletionSystemMessageParam {
  /** Who speaks. */
  role: "system";
  /** What was said. */
  content: ChatCompletionContent;
  /** Is given to the template. */
  name?: string;
}

/** What the user said. */
export interface ChatCompletionUserMessageParam {
  /** Who speaks. */
  role: "user";
  /** What was said. */
  content: ChatCompletionContent;
  /** Is given to the template. */
  name?: string;
}

/** What the model said. */
export interface ChatCompletionAssistantMessageParam {
  /** Who speaks. */
  role: "assistant";
  /** What was said. */
  content?: ChatCompletionContent | null;
  /** Is given to the template. */
  name?: string;
  /** The functions that it called for. */
  tool_calls?: ChatCompletionMessageToolCall[];
}

/** What a function returned. */
export interface ChatCompletionToolMessageParam {
  /** Who speaks. */
  role: "tool";
  /** What was said. */
  content: ChatCompletionContent;
  /** The `id` of the call that it answers. */
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
  /** Tells the kinds apart. */
  type: "function";
  /** The function. */
  function: {
    /** Its name. */
    name: string;
    /** What it is for, as the model is told. */
    description?: string;
    /** A JSON schema. */
    parameters?: Record<string, unknown>;
    /** Is given to the template, and nothing more. */
    strict?: boolean | null;
  };
}

/** What a stream carries besides the text. */
export interface StreamOptions {
  /** Ends the stream with a chunk without choices that holds `usage`. */
  include_usage?: boolean | undefined;
  /** OpenAI's padding against listeners, of which there are none. */
  include_obfuscation?: false | undefined;
}

/**
 * How tokens are drawn: llama.cpp's samplers, in its order: `logit_bias`, the penalties, `dry_*`, `top_n_sigma`, `top_k`,
 * `typical_p`, `top_p`, `min_p`, `xtc_*`, `temperature`. `null` and `undefined` mean the default.
 */
export interface SamplerParams {
  /** 0 takes the likeliest token that is left, up to 2; 1 by default. */
  temperature?: number | null | undefined;
  /** Lets the temperature vary by so much with the entropy of what is left; 0 by default. */
  dynatemp_range?: number | null | undefined;
  /** The power to which the entropy goes in it; 1 by default. */
  dynatemp_exponent?: number | null | undefined;
  /** Draws among this many of the likeliest tokens; 0, all of them, by default. */
  top_k?: number | null | undefined;
  /** Draws among the likeliest tokens that together have this probability; 1, all of them, by default. */
  top_p?: number | null | undefined;
  /** Draws among the tokens at least so many times as likely as the likeliest; 0, all of them, by default. */
  min_p?: number | null | undefined;
  /** Draws among the tokens of the most expected surprise that together have this probability; 1, all, by default. */
  typical_p?: number | null | undefined;
  /** Draws among the tokens at most so many standard deviations below the largest logit; 0, all, by default. */
  top_n_sigma?: number | null | undefined;
  /** How often all tokens above `xtc_threshold` but the least likely of them are left out, 0 to 1; 0 by default. */
  xtc_probability?: number | null | undefined;
  /** A probability; above 0.5 nothing is left out; 0.1 by default. */
  xtc_threshold?: number | null | undefined;
  /** How many tokens `typical_p`, `top_p`, `min_p` and `xtc_*` leave at least; 0 by default. */
  min_keep?: number | null | undefined;
  /** Divides the logits of recent tokens if they are positive, multiplies them otherwise; 1 by default. */
  repeat_penalty?: number | null | undefined;
  /** Is subtracted from a recent token's logit for each time it is there, -2 to 2; 0 by default. */
  frequency_penalty?: number | null | undefined;
  /** Is subtracted from a recent token's logit, -2 to 2; 0 by default. */
  presence_penalty?: number | null | undefined;
  /** How many tokens are recent to these three, the prompt's included; -1 is the context; 64 by default. */
  repeat_last_n?: number | null | undefined;
  /**
   * `dry_multiplier * dry_base ** (n - dry_allowed_length)` is subtracted from the logit of a token that would go on with
   * a repetition of n tokens; 0, none of it, by default.
   */
  dry_multiplier?: number | null | undefined;
  /** At least 1; 1.75 by default. */
  dry_base?: number | null | undefined;
  /** How many tokens may be repeated; 2 by default. */
  dry_allowed_length?: number | null | undefined;
  /** How many tokens are looked through, the prompt's included; -1, the context, by default. */
  dry_penalty_last_n?: number | null | undefined;
  /** Texts of at most 40 bytes that no repetition goes beyond; `["\n", ":", "\"", "*"]` by default. */
  dry_sequence_breakers?: readonly string[] | null | undefined;
  /** 1 or 2 hold the surprise near `mirostat_tau`, in place of all but `logit_bias` and `temperature`; 0 by default. */
  mirostat?: 0 | 1 | 2 | null | undefined;
  /** In bits; 5 by default. */
  mirostat_tau?: number | null | undefined;
  /** How fast the surprise is corrected; 0.1 by default. */
  mirostat_eta?: number | null | undefined;
}

/** The answer is a text like any other. */
export interface ResponseFormatText {
  /** Tells the kinds apart. */
  type: "text";
}

/** The answer is a JSON object. */
export interface ResponseFormatJSONObject {
  /** Tells the kinds apart. */
  type: "json_object";
}

/** The answer is JSON that a schema describes. */
export interface ResponseFormatJSONSchema {
  /** Tells the kinds apart. */
  type: "json_schema";
  /** The schema, and what it is called. */
  json_schema: {
    /** Has no effect. */
    name: string;
    /** Has no effect. */
    description?: string | undefined;
    /** Any JSON by default. */
    schema?: Record<string, unknown> | undefined;
    /** An answer is always held to the schema. */
    strict?: boolean | null | undefined;
  };
}

/** A grammar in a syntax that is named. */
export interface Grammar {
  /** The syntax that it is in. */
  syntax: "lark" | "gbnf";
  /** The grammar. */
  definition: string;
}

/** The fields that both kinds of completion take. `null` and `undefined` mean the default. */
export interface GenerationParams extends SamplerParams {
  /** Taken and not looked at: the model is the one that was loaded. */
  model?: string | undefined;
  /**
   * How many tokens to generate at most; by default until the context is full, with `context: "shift"` as many as it has
   * room for.
   */
  max_tokens?: number | null | undefined;
  /** How many answers to generate, 1 to 128, one after the other; the i-th, from 0, with `seed + i`. 1 by default. */
  n?: number | null | undefined;
  /** What the answer has to be. At most one of `response_format`, `grammar` and `regex` may be given. */
  response_format?: ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema | undefined;
  /** What the answer has to be: Lark as llguidance has it, or llama.cpp's GBNF, told by a line that begins `name ::=`. */
  grammar?: string | Grammar | null | undefined;
  /** What the answer has to match as a whole. */
  regex?: string | null | undefined;
  /** A text that ends an answer and is not part of it, or several. */
  stop?: string | readonly string[] | null | undefined;
  /** Token ids, and what is added to their logits, -100 to 100. */
  logit_bias?: Readonly<Record<string, number>> | null | undefined;
  /** The same seed gives the same tokens; a random one by default. */
  seed?: number | null | undefined;
  /** Goes on after an end-of-generation token; `false` by default. */
  ignore_eos?: boolean | null | undefined;
  /** Keeps what the prompt shares with the last request instead of computing it again; `true` by default. */
  cache_prompt?: boolean | null | undefined;
  /**
   * What happens where the context is full. `"error"`, the default, refuses a prompt that does not fit and ends an answer with
   * `length`. `"shift"` keeps the first `n_keep` tokens and drops the older half of the others, of a prompt too; what is left
   * has still seen what was dropped.
   */
  context?: "error" | "shift" | null | undefined;
  /**
   * How many of the prompt's first tokens `context: "shift"` keeps; -1 keeps all of it. By default those of a chat's system
   * message, and 4 at least, which attention needs.
   */
  n_keep?: number | null | undefined;
  /** Only with `stream: true`. */
  stream_options?: StreamOptions | null | undefined;
  /** Taken and not looked at: there is no one else here. */
  user?: string | undefined;
}

/** The body of `chat.completions.create`, but for `stream`. */
export interface ChatCompletionCreateParamsBase extends GenerationParams {
  /** The conversation, of one message at least. */
  messages: readonly ChatCompletionMessageParam[];
  /** The functions that the model may ask for. */
  tools?: readonly ChatCompletionTool[] | undefined;
  /** `"none"` keeps the tools from the template. */
  tool_choice?: "auto" | "none" | undefined;
  /** OpenAI's newer word for `max_tokens`; give one of the two. */
  max_completion_tokens?: number | null | undefined;
  /** Gives each token's log-probability to the model, before any sampler. */
  logprobs?: boolean | null | undefined;
  /** With `logprobs`, so many of the likeliest tokens in its place, up to 20. */
  top_logprobs?: number | null | undefined;
  /** A Jinja template in place of the model's own. */
  template?: string | null | undefined;
  /** Further variables of the template, such as `{ enable_thinking: false }`. */
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
  /** Taken and not looked at, as are those below: nothing is kept anywhere. */
  metadata?: Readonly<Record<string, string>> | null | undefined;
  /** Taken and not looked at. */
  prompt_cache_key?: string | undefined;
  /** Taken and not looked at. */
  safety_identifier?: string | undefined;
  /** Taken and not looked at. */
  service_tier?: "auto" | "default" | null | undefined;
  /** Nothing is stored. */
  store?: false | null | undefined;
  /** There is only text. */
  modalities?: readonly "text"[] | null | undefined;
}

/** A chat completion that arrives in one piece. */
export interface ChatCompletionCreateParamsNonStreaming extends ChatCompletionCreateParamsBase {
  /** The answer comes in one piece. */
  stream?: false | null | undefined;
}

/** A chat completion that arrives as it is generated. */
export interface ChatCompletionCreateParamsStreaming extends ChatCompletionCreateParamsBase {
  /** The answer comes as it is generated. */
  stream: true;
}

/** The body of `chat.completions.create`. */
export type ChatCompletionCreateParams =
  ChatCompletionCreateParamsNonStreaming | ChatCompletionCreateParamsStreaming;

/** The body of `completions.create`, but for `stream`. */
export interface CompletionCreateParamsBase extends GenerationParams {
  /** The text to go on from, in which special tokens are parsed; or its token ids, taken as they are. */
  prompt: string | readonly number[] | Uint32Array;
  /** Gives each token's log-probability to the model, before any sampler, and so many of the likeliest, up to 20. */
  logprobs?: number | null | undefined;
  /** The number of choices is `n`. */
  best_of?: number | null | undefined;
  /** The prompt is not repeated. */
  echo?: false | null | undefined;
  /** Nothing is filled in before a text. */
  suffix?: "" | null | undefined;
}

/** A text completion that arrives in one piece. */
export interface CompletionCreateParamsNonStreaming extends CompletionCreateParamsBase {
  /** The answer comes in one piece. */
  stream?: false | null | undefined;
}

/** A text completion that arrives as it is generated. */
export interface CompletionCreateParamsStreaming extends CompletionCreateParamsBase {
  /** The answer comes as it is generated. */
  stream: true;
}

/** The body of `completions.create`. */
export type CompletionCreateParams = CompletionCreateParamsNonStreaming | CompletionCreateParamsStreaming;

/** Why an answer ended: at an end-of-generation token or a `stop`, or at `max_tokens` or the end of the context. */
export type FinishReason = "stop" | "length";

/** How many tokens a request took. */
export interface CompletionUsage {
  /** Tokens of the prompt, those found computed included. */
  prompt_tokens: number;
  /** Tokens generated, of all answers. */
  completion_tokens: number;
  /** Both together. */
  total_tokens: number;
  /** What of the prompt was what. */
  prompt_tokens_details: {
    /** The part of the prompt that the last request had left computed. */
    cached_tokens: number;
  };
}

/** How long a request took, in llama.cpp's words. */
export interface Timings {
  /** Prompt tokens computed by this request. */
  prompt_n: number;
  /** Milliseconds that they took. */
  prompt_ms: number;
  /** Tokens generated. */
  predicted_n: number;
  /** Milliseconds that they took. */
  predicted_ms: number;
  /** Prompt tokens that the last request had left computed. */
  cache_n: number;
}

/** A token, and how likely it was to the model, before any sampler. */
export interface TokenLogprob {
  /** `bytes` as text; what is no UTF-8 becomes U+FFFD. */
  token: string;
  /** A natural logarithm. */
  logprob: number;
  /** Of a token that is part of a character, not all of the character's. */
  bytes: number[];
}

/** {@link TokenLogprob} of a token that was drawn. */
export interface ChatCompletionTokenLogprob extends TokenLogprob {
  /** The likeliest tokens in its place, as many as `top_logprobs`. */
  top_logprobs: TokenLogprob[];
}

/** The tokens of an answer. */
export interface ChatCompletionLogprobs {
  /** The tokens, in order. */
  content: ChatCompletionTokenLogprob[];
  /** Nothing is refused. */
  refusal: null;
}

/** The tokens of an answer to `completions.create`, in four arrays of the same length. */
export interface CompletionLogprobs {
  /** Each token as text. */
  tokens: string[];
  /** Natural logarithms of the model's probabilities, before any sampler. */
  token_logprobs: number[];
  /** The token itself and the likeliest in its place, as many as `logprobs`. */
  top_logprobs: Record<string, number>[];
  /** Where in `text` they begin. */
  text_offset: number[];
}

/** What the model answered. */
export interface ChatCompletionMessage {
  /** Who speaks. */
  role: "assistant";
  /** The answer. */
  content: string;
  /** Nothing is refused. */
  refusal: null;
}

/** The answer to `chat.completions.create`. */
export interface ChatCompletion {
  /** Unlike that of any other answer. */
  id: string;
  /** Tells the kinds of answers apart. */
  object: "chat.completion";
  /** Seconds since 1970. */
  created: number;
  /** The name of the model that answered. */
  model: string;
  /** The answers, `n` of them. */
  choices: {
    /** Which of the `n` answers, from 0. */
    index: number;
    /** What the model said. */
    message: ChatCompletionMessage;
    /** Why it ended. */
    finish_reason: FinishReason;
    /** The tokens, where they were asked for. */
    logprobs: ChatCompletionLogprobs | null;
  }[];
  /** How many tokens it took. */
  usage: CompletionUsage;
  /** How long it took. */
  timings: Timings;
}

/** A piece of the answer to `chat.completions.create` with `stream: true`. */
export interface ChatCompletionChunk {
  /** The same in all chunks of an answer. */
  id: string;
  /** Tells the kinds of answers apart. */
  object: "chat.completion.chunk";
  /** Seconds since 1970. */
  created: number;
  /** The name of the model that answered. */
  model: string;
  /** Empty in the chunk that holds `usage`. */
  choices: {
    /** Which of the `n` answers, from 0. */
    index: number;
    /** The first chunk has the role, those after it text, the one with the `finish_reason` neither. */
    delta: {
      /** In the first chunk. */
      role?: "assistant";
      /** The next piece of the text. */
      content?: string;
    };
    /** Why it ended, in its last chunk. */
    finish_reason: FinishReason | null;
    /** The tokens of this piece, where they were asked for. */
    logprobs: ChatCompletionLogprobs | null;
  }[];
  /** With `stream_options.include_usage` only: `null` in every chunk but the last. */
  usage?: CompletionUsage | null;
  /** In the last chunk. */
  timings?: Timings;
}

/** The answer to `completions.create`. */
export interface Completion {
  /** Unlike that of any other answer. */
  id: string;
  /** Tells the kinds of answers apart. */
  object: "text_completion";
  /** Seconds since 1970. */
  created: number;
  /** The name of the model that answered. */
  model: string;
  /** The answers, `n` of them. */
  choices: {
    /** Which of the `n` answers, from 0. */
    index: number;
    /** The text. */
    text: string;
    /** Why it ended. */
    finish_reason: FinishReason;
    /** The tokens, where they were asked for. */
    logprobs: CompletionLogprobs | null;
  }[];
  /** How many tokens it took. */
  usage: CompletionUsage;
  /** How long it took. */
  timings: Timings;
}

/** A piece of the answer to `completions.create` with `stream: true`. */
export interface CompletionChunk {
  /** The same in all chunks of an answer. */
  id: string;
  /** Tells the kinds of answers apart. */
  object: "text_completion";
  /** Seconds since 1970. */
  created: number;
  /** The name of the model that answered. */
  model: string;
  /** Empty in the chunk that holds `usage`. */
  choices: {
    /** Which of the `n` answers, from 0. */
    index: number;
    /** The next piece of the text. */
    text: string;
    /** Why it ended, in its last chunk. */
    finish_reason: FinishReason | null;
    /** The tokens of this piece, where they were asked for. */
    logprobs: CompletionLogprobs | null;
  }[];
  /** With `stream_options.include_usage` only: `null` in every chunk but the last. */
  usage?: CompletionUsage | null;
  /** In the last chunk. */
  timings?: Timings;
}
