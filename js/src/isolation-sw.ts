/**
 * A whole service worker for hosts that send no headers: pages and workers get those of cross-origin isolation from it.
 * All else goes past it, since no other response needs them. `?embedder-policy=credentialless` chooses that policy. The
 * build joins this file and what it imports into one plain script.
 */

import { withIsolation, type IsolationHeaders } from "./with-isolation.js";

/** What of a service worker's global scope is used. */
interface ServiceWorkerScope {
  addEventListener(type: "install", listener: () => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
  readonly location: Location;
}

interface FetchEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as ServiceWorkerScope;
const policy = new URLSearchParams(scope.location.search).get("embedder-policy") ?? "require-corp";
const isolation = { embedderPolicy: policy as IsolationHeaders["embedderPolicy"] };

scope.addEventListener("install", () => void scope.skipWaiting());

scope.addEventListener("fetch", (event) => {
  const { mode, destination } = event.request;
  if (mode !== "navigate" && destination !== "worker" && destination !== "sharedworker") return;
  event.respondWith(fetch(event.request).then((response) => withIsolation(response, isolation)));
});
