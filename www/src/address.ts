/** What the page's own address asks for. */

export const defaultModel = "models/smollm2-135m-instruct-q4_1.gguf";

/** The model to begin with: `?model=URL`, else the one that is served beside the page. */
export function modelOf(address: URL): URL {
  const base = new URL(".", address);
  return parseModelUrl(address.searchParams.get("model") ?? "", base) ?? new URL(defaultModel, base);
}

/** An absolute http(s) URL out of what was typed, or `undefined` if it is none. */
export function parseModelUrl(text: string, base: URL): URL | undefined {
  if (!text.trim()) return undefined;
  try {
    const url = new URL(text.trim(), base);
    return /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}
