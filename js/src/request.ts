/** What users ask, checked and worded as the wasm side takes it. */

import { constraintOf } from "./constraint.js";
import type {
  ChatCompletionCreateParams,
  ChatCompletionMessageParam,
  CompletionCreateParams,
} from "./openai.js";
import { check, invalid, SAMPLER_FIELDS } from "./validate.js";
import type { GenerateRequest, Generating, LocalTime, Sampler, TemplateRequest } from "./wasm-contract.js";

/** The request that a chat completion makes, as JSON. */
export function chatRequest(body: ChatCompletionCreateParams): string {
  check("a chat completion", body);
  const { max_tokens, max_completion_tokens } = body;
  if (max_tokens != null && max_completion_tokens != null) {
    throw invalid(
      "`max_tokens` and `max_completion_tokens` mean the same; one of them should be given, got both",
    );
  }
  const { logprobs, top_logprobs } = body;
  if (top_logprobs != null && !logprobs) {
    throw invalid("`top_logprobs` should come with `logprobs: true`");
  }
  const chat = templateFields(body.messages, {
    tools: body.tool_choice === "none" ? undefined : body.tools,
    template: body.template,
    variables: body.chat_template_kwargs,
  });
  const maxTokens = max_tokens ?? max_completion_tokens;
  return toJson<GenerateRequest>({
    chat,
    ...generatingFields(body, maxTokens, logprobs ? (top_logprobs ?? 0) : undefined),
  });
}

/** The request that a text completion makes, as JSON. */
export function completionRequest(body: CompletionCreateParams): string {
  check("a completion", body);
  const { prompt, best_of, n, max_tokens, logprobs } = body;
  if (best_of != null && best_of !== (n ?? 1)) {
    throw invalid(`\`best_of\` should be \`n\`, ${n ?? 1}, since all are returned, got ${best_of}`);
  }
  const wire = typeof prompt === "string" ? { prompt } : { ids: [...prompt] };
  return toJson<GenerateRequest>({ ...wire, ...generatingFields(body, max_tokens, logprobs) });
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

function generatingFields(
  body: ChatCompletionCreateParams | CompletionCreateParams,
  maxTokens: number | null | undefined,
  logprobs: number | null | undefined,
): Generating {
  if (body.stream_options != null && !body.stream) {
    throw invalid("`stream_options` should come with `stream: true`");
  }
  const { n, stop, logit_bias, seed, ignore_eos, cache_prompt } = body;
  const constraint = constraintOf(body);
  const given = SAMPLER_FIELDS.filter((field) => body[field] != null);
  return {
    ...(maxTokens != null && { max_tokens: maxTokens }),
    n: n ?? 1,
    ...(constraint && { constraint }),
    stop: typeof stop === "string" ? [stop] : (stop ?? []),
    ...(logprobs != null && { logprobs }),
    ignore_eos: ignore_eos ?? false,
    cache_prompt: cache_prompt ?? true,
    ...(body.context && { context: body.context }),
    ...(body.n_keep != null && { n_keep: body.n_keep }),
    sampler: {
      ...(Object.fromEntries(given.map((field) => [field, body[field]])) as Omit<Sampler, "seed">),
      ...(logit_bias && { logit_bias: Object.entries(logit_bias).map(([id, bias]) => [Number(id), bias]) }),
      seed: seed ?? randomSeed(),
    },
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
    throw invalid("`messages`, `tools` and what else the template is given should be JSON", { cause });
  }
}

/** Half a surrogate pair becomes U+FFFD, as it does in the text that `tokenize` is given. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\u{FFFD}");
}
