/** What users ask, checked and worded as the wasm side takes it. */

import type {
  ChatCompletionCreateParams,
  ChatCompletionMessageParam,
  CompletionCreateParams,
} from "./openai.js";
import { check, invalid } from "./validate.js";
import type { GenerateRequest, LocalTime, Sampling, TemplateRequest } from "./wasm-contract.js";

/** The request that a chat completion makes, as JSON. */
export function chatRequest(body: ChatCompletionCreateParams): string {
  check("a chat completion", body);
  const { max_tokens, max_completion_tokens } = body;
  if (max_tokens != null && max_completion_tokens != null) {
    throw invalid(
      "`max_tokens` and `max_completion_tokens` mean the same; one of them should be given, got both",
    );
  }
  const chat = templateFields(body.messages, {
    tools: body.tools,
    template: body.template,
    variables: body.chat_template_kwargs,
  });
  return toJson<GenerateRequest>({ chat, ...samplingFields(body, max_tokens ?? max_completion_tokens) });
}

/** The request that a text completion makes, as JSON. */
export function completionRequest(body: CompletionCreateParams): string {
  check("a completion", body);
  return toJson<GenerateRequest>({ prompt: body.prompt, ...samplingFields(body, body.max_tokens) });
}

/** The request that `applyChatTemplate` makes, as JSON. */
export function templateRequest(
  messages: readonly ChatCompletionMessageParam[],
  options: Parameters<typeof templateFields>[1],
): string {
  return toJson<TemplateRequest>(templateFields(messages, options));
}

function templateFields(
  messages: TemplateRequest["messages"],
  options: {
    tools?: TemplateRequest["tools"] | null | undefined;
    addGenerationPrompt?: boolean | null | undefined;
    template?: string | null | undefined;
    variables?: Record<string, unknown> | null | undefined;
  },
): TemplateRequest {
  return {
    messages,
    ...(options.tools && { tools: options.tools }),
    add_generation_prompt: options.addGenerationPrompt ?? true,
    ...(options.template != null && { template: options.template }),
    ...(options.variables && { chat_template_kwargs: options.variables }),
    now: localTime(new Date()),
  };
}

function samplingFields(
  body: ChatCompletionCreateParams | CompletionCreateParams,
  maxTokens: number | null | undefined,
): Sampling {
  if (body.stream_options != null && !body.stream) {
    throw invalid("`stream_options` should come with `stream: true`");
  }
  return {
    ...(maxTokens != null && { max_tokens: maxTokens }),
    temperature: body.temperature ?? 1,
    top_p: body.top_p ?? 1,
    top_k: body.top_k ?? 0,
    seed: body.seed ?? randomSeed(),
    ignore_eos: body.ignore_eos ?? false,
    cache_prompt: body.cache_prompt ?? true,
  };
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

function localTime(date: Date): LocalTime {
  return {
    year: date.getFullYear(),
    month: date.getMonth() + 1,
    day: date.getDate(),
    hour: date.getHours(),
    minute: date.getMinutes(),
    second: date.getSeconds(),
  };
}

function toJson<T>(request: T): string {
  try {
    return JSON.stringify(request, (_, value: unknown) =>
      typeof value === "string" ? wellFormed(value) : value,
    );
  } catch (cause) {
    throw invalid("`messages` and `tools` should be JSON", { cause });
  }
}

/** Half a surrogate pair becomes U+FFFD, as it does in the text that `tokenize` is given. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\u{FFFD}");
}
