/** A conversation and settings as the body of a request. */
import type { ChatCompletionCreateParamsStreaming, ChatCompletionMessageParam } from "tallow";
import type { Settings } from "./settings.js";
import type { Turn } from "./state.js";

export function toRequest(turns: readonly Turn[], settings: Settings): ChatCompletionCreateParamsStreaming {
  const { temperature, top_k, top_p, max_tokens, seed } = settings;
  return {
    messages: toMessages(turns, settings.system),
    stream: true,
    stream_options: { include_usage: true },
    temperature,
    top_k,
    top_p,
    max_tokens,
    ...(seed === null ? {} : { seed }),
  };
}

/** A question whose answer has no text is left out with it: many templates insist that the two take turns. */
function toMessages(turns: readonly Turn[], system: string): ChatCompletionMessageParam[] {
  const messages: ChatCompletionMessageParam[] = [];
  if (system.trim()) messages.push({ role: "system", content: system.trim() });
  turns.forEach(({ role, text }, index) => {
    const next = turns[index + 1];
    const unanswered =
      role === "user" && next?.role === "assistant" && next.status !== "streaming" && !next.text;
    if (text && !unanswered) messages.push({ role, content: text });
  });
  return messages;
}
