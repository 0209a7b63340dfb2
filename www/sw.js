/**
 * The page's service worker. It holds one version of the page, as the build made it, with the one wasm module that this
 * browser runs (`sw.js?module=relaxed`), and answers from that alone. What it does not hold, models among it, goes past
 * it to the network. `precache.js` puts `version` and `files` in front of this.
 */
/* global version, files */

const family = `tallow-www ${registration.scope} `;
const cacheName = `${family}${version}${location.search}`;
const module = new URLSearchParams(location.search).get("module");

/** The address of each file that is held, and the hash of its content. */
const held = new Map(
  Object.entries(files)
    .filter(([name]) => !name.endsWith(".wasm") || name.includes(`/${module}-`))
    .map(([name, hash]) => [new URL(name, registration.scope).href, hash]),
);

addEventListener("install", (event) => event.waitUntil(hold()));
addEventListener("activate", (event) => event.waitUntil(dropOthers()));
addEventListener("message", (event) => event.waitUntil(startWithOnlyPage()));

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || request.headers.has("Range")) return;
  // What follows the path is for the page.
  const address = request.url.split(/[?#]/, 1)[0].replace(/\/index\.html$/, "/");
  if (held.has(address)) event.respondWith(answer(request, address));
});

/** Fetches all or nothing. The hashes keep out what a server or a cache on the way still has of another version. */
async function hold() {
  const cache = await caches.open(cacheName);
  await cache.addAll([...held].map(([url, integrity]) => new Request(url, { cache: "no-cache", integrity })));
}

async function dropOthers() {
  const others = (await caches.keys()).filter((name) => name.startsWith(family) && name !== cacheName);
  await Promise.all(others.map((name) => caches.delete(name)));
}

/**
 * A page has just started and found this version waiting. An open page goes on with the version it has, so this one
 * takes over only where there is no other.
 */
async function startWithOnlyPage() {
  const pages = await clients.matchAll({ includeUncontrolled: true });
  if (pages.length === 1) void skipWaiting();
}

/** As the server sent it, headers and all. Browsers may throw a cache away. */
async function answer(request, address) {
  const cache = await caches.open(cacheName);
  return (await cache.match(address)) ?? fetch(request);
}
