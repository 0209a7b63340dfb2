/**
 * `model.fetch`: OpenAI's HTTP interface without a network, for the official client and whatever else speaks it.
 *
 *   POST .../chat/completions   POST .../completions   GET .../models   GET .../models/ID
 *
 * Whatever stands before is not looked at. Streams are server-sent events; errors have OpenAI's body, with our code.
 */

import type { ChatCompletions, Completions } from "./completions.js";
import { TallowError } from "./errors.js";
import type { ModelInfo } from "./info.js";
import type { ChatCompletionCreateParams, CompletionCreateParams } from "./openai.js";

/** As `fetch`, but that a model answers. */
export type ModelFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** What answers. */
interface Served {
  readonly info: ModelInfo;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
}

/** The codes of what is the caller's fault. */
const CALLERS = ["invalid_request", "context_length_exceeded", "template_error", "grammar_error"];

/** The handler of one model. It rejects with the signal's reason when that aborts, as `fetch` does. */
export function modelFetch(model: Served): ModelFetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { signal } = request;
    signal.throwIfAborted();
    try {
      return await answer(model, request);
    } catch (error) {
      signal.throwIfAborted();
      const body = errorBody(error);
      return json(body, CALLERS.includes(body.error.code) ? 400 : 500);
    }
  };
}

async function answer(model: Served, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const [, path, id] = /\/(chat\/completions|completions|models)(?:\/([^/]+))?$/.exec(pathname) ?? [];
  if (!path || (id !== undefined && path !== "models")) {
    return refused(404, `there is no \`${pathname}\`; there are chat/completions, completions and models`);
  }
  const method = path === "models" ? "GET" : "POST";
  if (request.method !== method) {
    return refused(405, `\`${pathname}\` should be asked with ${method}, got ${request.method}`, {
      allow: method,
    });
  }
  if (path === "models") return models(model.info.name, id);

  const body: unknown = await request.json().catch((cause: unknown) => {
    throw new TallowError("invalid_request", "the body should be JSON", { cause });
  });
  // `create` checks it.
  const options = { signal: request.signal };
  const made = await (path === "completions"
    ? model.completions.create(body as CompletionCreateParams, options)
    : model.chat.completions.create(body as ChatCompletionCreateParams, options));
  return Symbol.asyncIterator in made ? events(made, request) : json(made);
}

function models(name: string, id: string | undefined): Response {
  const model = { id: name, object: "model", created: 0, owned_by: "tallow" };
  if (id === undefined) return json({ object: "list", data: [model] });
  if (decoded(id) === name) return json(model);
  return refused(404, `there is no model \`${id}\`; there is \`${name}\``);
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

/** Server-sent events, as they are asked for. They hold the request: in Node its signal is of no use once it is collected. */
function events(stream: AsyncIterable<unknown>, request: Request): Response {
  const chunks = stream[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const send = (data: string) => controller.enqueue(encoder.encode(`data: ${data}\n\n`));
      try {
        const { done, value } = await chunks.next();
        send(done ? "[DONE]" : JSON.stringify(value));
        if (done) controller.close();
      } catch (error) {
        if (request.signal.aborted) throw error;
        send(JSON.stringify(errorBody(error)));
        controller.close();
      }
    },
    async cancel() {
      await chunks.return?.();
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache" },
  });
}

function errorBody(error: unknown) {
  const code = error instanceof TallowError ? error.code : "internal";
  const message = error instanceof Error ? error.message : String(error);
  const type = CALLERS.includes(code) ? "invalid_request_error" : "server_error";
  // Our messages begin with the field that they are about.
  const param = (code === "invalid_request" && /^`(\w+)/.exec(message)?.[1]) || null;
  return { error: { message, type, param, code } };
}

function refused(status: number, message: string, headers: HeadersInit = {}): Response {
  return json(
    { error: { message, type: "invalid_request_error", param: null, code: null } },
    status,
    headers,
  );
}

function json(value: unknown, status = 200, headers: HeadersInit = {}): Response {
  // OpenAI's client repeats what failed, unless it is told that this is of no use.
  const ours = { "content-type": "application/json", ...(status >= 400 && { "x-should-retry": "false" }) };
  return new Response(JSON.stringify(value), { status, headers: { ...ours, ...headers } });
}
