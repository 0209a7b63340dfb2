/** The headers that make a page cross-origin isolated, put on a response by a service worker. */

/** What an isolated page takes from other origins. */
export interface IsolationHeaders {
  /**
   * `require-corp` (the default): only what answers with CORS or with a `Cross-Origin-Resource-Policy`. `credentialless`:
   * anything, asked for without cookies; a browser that does not know it does not isolate the page.
   */
  embedderPolicy?: "require-corp" | "credentialless" | undefined;
}

/**
 * A response with the headers that a cross-origin isolated page and its workers must come with. What is opaque, such as
 * the redirect of a page or an image from elsewhere, is returned as it is, since nothing can be added to it.
 *
 * @example
 * In a service worker of your own, which leaves all else alone:
 * ```ts
 * import { withIsolation } from "tallow/isolation";
 *
 * addEventListener("fetch", (event) => {
 *   const { mode, destination } = event.request;
 *   if (mode !== "navigate" && destination !== "worker" && destination !== "sharedworker") return;
 *   event.respondWith(fetch(event.request).then((response) => withIsolation(response)));
 * });
 * ```
 */
export function withIsolation(
  response: Response,
  { embedderPolicy = "require-corp" }: IsolationHeaders = {},
): Response {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", embedderPolicy);
  // Such answers must have no body at all.
  const body = [204, 205, 304].includes(response.status) ? null : response.body;
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}
