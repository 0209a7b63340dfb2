/**
 * One stream of a file against ranges of it side by side, in Chromium: over HTTP/1.1 and HTTP/2, where the server limits
 * each connection, where the link is the limit, and where nothing is. Prints the seconds of 1 to 4 of them, medians of
 * three rounds. Needs `openssl`, for a certificate.
 *
 *   node benches/ranges.js
 */

import { chromium } from "@playwright/test";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const FILE = Buffer.alloc(24 << 20, 7);
/** Milliseconds before an answer begins. */
const LATENCY = 50;
const CHUNK = 64 << 10;
const ROUNDS = 3;
const SIDE_BY_SIDE = [1, 2, 3, 4];
const MB = 1e6;

const CASES = [
  { name: "HTTP/1.1, 8 MB/s a connection", http: 1, connection: 8 * MB },
  { name: "HTTP/1.1, 16 MB/s the link", http: 1, link: 16 * MB },
  { name: "HTTP/2, 8 MB/s a connection", http: 2, connection: 8 * MB },
  { name: "HTTP/2, 16 MB/s the link", http: 2, link: 16 * MB },
  { name: "HTTP/1.1, no limit", http: 1 },
];

/** Waits until so many bytes may go, at a rate in bytes per second. */
function limited(rate = Infinity) {
  let free = 0;
  return async (bytes) => {
    free = Math.max(free, performance.now()) + (1000 * bytes) / rate;
    const wait = free - performance.now();
    // Shorter ones the timer cannot.
    if (wait > 4) await pause(wait);
  };
}

function handler({ connection, link }) {
  const limits = new WeakMap();
  const onLink = limited(link);
  return async (request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (request.url === "/")
      return response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
    const socket = request.stream?.session ?? request.socket;
    if (!limits.has(socket)) limits.set(socket, limited(connection));
    const body = first === undefined ? FILE : FILE.subarray(Number(first), Number(last) + 1);
    await pause(LATENCY);
    const range = first !== undefined && { "Content-Range": `bytes ${first}-${last}/${FILE.length}` };
    response.writeHead(range ? 206 : 200, { "Content-Length": body.length, ...range });
    for (let at = 0; at < body.length; at += CHUNK) {
      const chunk = body.subarray(at, at + CHUNK);
      await limits.get(socket)(chunk.length);
      await onLink(chunk.length);
      if (!response.write(chunk)) await once(response, "drain");
    }
    response.end();
  };
}

/** Runs in the page: seconds until all of the file is there, in `n` requests. */
async function fetched([n, bytes]) {
  const start = performance.now();
  const part = bytes / n;
  const lengths = await Promise.all(
    Array.from({ length: n }, async (_, i) => {
      const headers = n === 1 ? {} : { Range: `bytes=${i * part}-${(i + 1) * part - 1}` };
      const { body } = await fetch("/model.gguf", { headers, cache: "no-store" });
      const reader = body.getReader();
      for (let length = 0; ;) {
        const { done, value } = await reader.read();
        if (done) return length;
        length += value.length;
      }
    }),
  );
  if (lengths.some((length) => length !== part))
    throw new Error(`got ${lengths} bytes, expected ${part} each`);
  return (performance.now() - start) / 1000;
}

function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "tallow-ranges-"));
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder, name));
  const request = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1".split(" ");
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const read = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  return read;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  chromiumSandbox: false,
  args: ["--disable-gpu", "--disable-quic"],
});
console.log(`Chromium ${browser.version()}, ${FILE.length} bytes, seconds`);
for (const { name, http, ...limits } of CASES) {
  const server =
    http === 1 ? createServer(handler(limits)) : createSecureServer(certificate(), handler(limits));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(`http${http === 2 ? "s" : ""}://127.0.0.1:${server.address().port}/`);
  const seconds = SIDE_BY_SIDE.map(() => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, n] of SIDE_BY_SIDE.entries())
      seconds[i].push(await page.evaluate(fetched, [n, FILE.length]));
  const medians = seconds.map((each) => each.sort((a, b) => a - b)[ROUNDS >> 1]);
  console.log(name.padEnd(32), SIDE_BY_SIDE.map((n, i) => `${n}: ${medians[i].toFixed(2)}`).join("   "));
  await page.close();
  server.close();
}
await browser.close();
