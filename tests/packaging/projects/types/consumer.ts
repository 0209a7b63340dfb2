// What a project's own code may write, by the types alone: a page's and a server's.
import { cache, capabilities, inspect, loadModel, TallowError } from "tallow";
import type { ChatCompletionChunk, LoadModelOptions, Model, ModelSource, TallowErrorCode } from "tallow";
import { isolate, TallowError as IsolationError, withIsolation } from "tallow/isolation";

export async function talk(source: ModelSource, options: LoadModelOptions): Promise<string> {
  const model: Model = await loadModel(source, { ...options, threads: "auto" });
  const messages = [{ role: "user" as const, content: "Why is the sky blue?" }];
  const answer = await model.chat.completions.create({ messages, max_tokens: 20 });
  let text: string = answer.choices[0]?.message.content ?? "";
  for await (const chunk of await model.chat.completions.create({ messages, stream: true })) {
    const typed: ChatCompletionChunk = chunk;
    text += typed.choices[0]?.delta.content ?? "";
  }
  const ids: Uint32Array = await model.tokenize(text, { addSpecial: true });
  text += await model.detokenize(ids);
  await model.dispose();
  return text;
}

export function codeOf(error: unknown): TallowErrorCode | undefined {
  return error instanceof TallowError || error instanceof IsolationError ? error.code : undefined;
}

export const sources: ModelSource[] = [
  "models/a.gguf",
  new URL("https://example.com/a.gguf"),
  ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
  new ArrayBuffer(8),
  new Blob([]),
  new ReadableStream<Uint8Array>(),
];

export const others = { cache, capabilities, inspect, isolate, withIsolation };

// @ts-expect-error: what is no option is none by the types as well
void loadModel("a.gguf", { thread: 2 });
// @ts-expect-error: a source is none of a number
void loadModel(1);
