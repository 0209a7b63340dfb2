/** Makes a page cross-origin isolated, and so gives it threads, where its host cannot send the headers. */

import { TallowError } from "./errors.js";
import type { IsolationHeaders } from "./with-isolation.js";

export { TallowError } from "./errors.js";
export type { TallowErrorCode } from "./errors.js";
export { withIsolation } from "./with-isolation.js";
export type { IsolationHeaders } from "./with-isolation.js";

/** Options of {@link isolate}: where the service worker lies, and how the browser registers it. */
export interface IsolateOptions extends IsolationHeaders {
  /**
   * A copy of `tallow/dist/isolation-sw.js`, or one of your own that uses {@link withIsolation}. The page and
   * `worker.js` must lie in its folder or below: browsers ask no other service worker about a worker's script.
   */
  serviceWorker: string | URL;
  /** As of `navigator.serviceWorker.register`. */
  scope?: string;
  /** As of `navigator.serviceWorker.register`. */
  type?: "classic" | "module";
  /** As of `navigator.serviceWorker.register`. */
  updateViaCache?: "all" | "imports" | "none";
}

/** Remembers, in this tab and beyond a reload, that there has been one. */
const RELOADED = "tallow.isolation.reloaded";

/** Milliseconds after which the page stays, as a user can decide who is asked before leaving it. */
const RELOAD_LIMIT = 10_000;

/**
 * Whether the page is cross-origin isolated, after all has been done for it: where it is not, the service worker is
 * registered and the page reloads, once, so that it comes with the headers. `false` where that did not help or cannot
 * be: at an insecure address, in a frame, in a private window without service workers. Call it before anything that a
 * reload would lose.
 *
 * @example
 * ```ts
 * import { isolate } from "tallow/isolation";
 *
 * await isolate({ serviceWorker: "./isolation-sw.js" });
 * ```
 *
 * @throws {@link TallowError} `invalid_request` where `serviceWorker` is no URL, or the page outside of its scope. It is
 * this script's own class: tell it by its `code`, or import the class from here and not from `tallow`.
 */
export async function isolate(options: IsolateOptions): Promise<boolean> {
  const { serviceWorker, embedderPolicy, ...registrationOptions } = options;
  const tab = tabStorage();
  if (globalThis.crossOriginIsolated) {
    tab?.removeItem(RELOADED);
    return true;
  }
  if (!tab || tab.getItem(RELOADED) || !canRegister()) return false;

  const url = urlOf(serviceWorker);
  if (embedderPolicy) url.searchParams.set("embedder-policy", embedderPolicy);
  const registration = await navigator.serviceWorker
    .register(url, registrationOptions)
    .catch(() => undefined);
  if (!registration) return false;
  if (!location.href.startsWith(registration.scope)) {
    throw new TallowError(
      "invalid_request",
      `\`serviceWorker\` should have the page \`${location.href}\` in its scope, got \`${registration.scope}\``,
    );
  }
  if (!(await activates(registration))) return false;
  tab.setItem(RELOADED, "yes");
  location.reload();
  return new Promise((resolve) => setTimeout(() => resolve(false), RELOAD_LIMIT));
}

function urlOf(serviceWorker: string | URL): URL {
  try {
    return new URL(serviceWorker, document.baseURI);
  } catch (cause) {
    const message = `\`serviceWorker\` should be a URL, got ${JSON.stringify(serviceWorker)}`;
    throw new TallowError("invalid_request", message, { cause });
  }
}

/** What is kept until the tab is closed, where that is allowed. */
function tabStorage(): Storage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}

/** Whether a service worker could help: one in a frame could not, as the page around it is not isolated. */
function canRegister(): boolean {
  return globalThis.isSecureContext && window.top === window && "serviceWorker" in navigator;
}

/** Whether a service worker answers for the page from its next load on. */
async function activates({ active, waiting, installing }: ServiceWorkerRegistration): Promise<boolean> {
  const worker = active ?? waiting ?? installing;
  while (worker && worker.state !== "activated" && worker.state !== "redundant") {
    await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  }
  return worker?.state === "activated";
}
