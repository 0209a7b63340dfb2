// The service worker of the page: keeps whatever the page fetches from its own origin, and answers from that.
// It lies beside the page, since it sees only pages in its own folder and below.

// A new name with every release, and the next visit begins anew with all files of the new one.
const CACHE = "offline-example 1";

addEventListener("install", (event) => {
  // The page itself was fetched before there was a service worker to see it.
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(["./", "main.js"])));
});

addEventListener("activate", (event) => event.waitUntil(begin()));

async function begin() {
  // Other programs at this origin have caches as well, the package among them: delete only your own.
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("offline-example ") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  // Without this the first visit would go past the service worker.
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  // Models pass: the package keeps them, and asks for parts of them, which a cache cannot hold. So should whatever must
  // come from the network each time, such as an API of your own.
  const passes = request.method !== "GET" || request.headers.has("Range") || pathname.endsWith(".gguf");
  if (origin === location.origin && !passes) event.respondWith(answer(event));
});

async function answer(event) {
  const cache = await caches.open(CACHE);
  // What follows `?` in a page's address is for its scripts.
  const kept = await cache.match(event.request, { ignoreSearch: event.request.mode === "navigate" });
  if (kept) return kept;
  const response = await fetch(event.request);
  // Headers stay with what is kept, and with them the cross-origin isolation that threads need.
  if (response.ok) event.waitUntil(cache.put(event.request, response.clone()));
  return response;
}
