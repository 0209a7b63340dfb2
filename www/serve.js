/**
 * Serves the built page and the models from this machine: `node serve.js [--no-isolation]`, with `PORT` (8080) and
 * `HOST` (127.0.0.1; 0.0.0.0 lets a phone on the same network in) from the environment.
 */
import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { pipeline } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { contentSecurityPolicy, isolationHeaders } from "./policy.js";

const types = {
  ".css": "text/css; charset=utf-8",
  ".gguf": "application/octet-stream",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/**
 * A request handler over `mounts`, pairs of URL prefix and folder; the first prefix that fits a path answers for it.
 * @param {[string, string][]} mounts
 * @param {{ isolation?: boolean, policy?: string }} [options] `policy` in place of the page's Content-Security-Policy
 * @returns {import("node:http").RequestListener}
 */
export function fileHandler(mounts, { isolation = true, policy = contentSecurityPolicy } = {}) {
  return async (request, response) => {
    response.setHeader("Content-Security-Policy", `${policy}; frame-ancestors 'none'`);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "no-referrer");
    if (isolation)
      for (const [name, value] of Object.entries(isolationHeaders)) response.setHeader(name, value);

    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      return refuse(response, 405);
    }
    const path = requestedPath(request.url);
    if (path === undefined) return refuse(response, 400);
    const file = await findFile(mounts, path);
    if (!file) return refuse(response, 404);
    sendFile(request, response, file);
  };
}

/** The decoded path of a request target, or `undefined` when it is malformed or climbs out of its root. */
function requestedPath(target = "/") {
  try {
    const path = decodeURIComponent(target.split(/[?#]/, 1)[0]);
    const climbs = path.split(/[/\\]/).includes("..");
    return path.startsWith("/") && !climbs && !path.includes("\0") ? path : undefined;
  } catch {
    return undefined;
  }
}

async function findFile(mounts, path) {
  const mount = mounts.find(([prefix]) => path.startsWith(prefix));
  if (!mount) return undefined;
  const [prefix, folder] = mount;
  const root = resolve(folder);
  const name = resolve(join(root, path.slice(prefix.length), path.endsWith("/") ? "index.html" : ""));
  if (!name.startsWith(root + sep)) return undefined;
  const stats = await stat(name).catch(() => undefined);
  return stats?.isFile() ? { name, size: stats.size, modified: stats.mtimeMs } : undefined;
}

function sendFile(request, response, { name, size, modified }) {
  const etag = `"${size.toString(16)}-${Math.floor(modified).toString(16)}"`;
  response.setHeader("ETag", etag);
  response.setHeader("Accept-Ranges", "bytes");
  // The bundler puts a hash of the content into the names under assets/.
  const hashed = name.includes(`${sep}assets${sep}`);
  response.setHeader("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
  if (request.headers["if-none-match"] === etag) return refuse(response, 304);

  const rangeHolds = [undefined, etag].includes(request.headers["if-range"]);
  const range = rangeHolds ? parseRange(request.headers.range, size) : undefined;
  if (range === "unsatisfiable") {
    response.setHeader("Content-Range", `bytes */${size}`);
    return refuse(response, 416);
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) response.setHeader("Content-Range", `bytes ${start}-${end}/${size}`);
  response.setHeader("Content-Type", types[extname(name)] ?? "application/octet-stream");
  response.setHeader("Content-Length", end - start + 1);
  response.writeHead(range ? 206 : 200);
  if (request.method === "HEAD" || size === 0) return response.end();
  // `pipeline` closes the file when the reader goes away, and the connection when the file fails.
  pipeline(createReadStream(name, { start, end }), response, () => {});
}

/**
 * The one byte range that `header` asks for, with both ends included; `undefined` means the whole file, which is
 * also the answer to several ranges and to units other than bytes (RFC 9110, section 14.2).
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const [first, last] = [match[1], match[2]];
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

function refuse(response, status) {
  if (status !== 304) response.setHeader("Content-Length", 0);
  response.writeHead(status).end();
}

/**
 * A server that listens; rejects with a sentence that says what to do.
 * @param {import("node:http").RequestListener} handler
 * @param {number} port
 * @param {string} host
 * @returns {Promise<import("node:http").Server>}
 */
export function listen(handler, port, host) {
  return new Promise((resolve, reject) => {
    const server = createServer(handler);
    server.on("error", (error) => reject(new Error(listenProblem(error, port, host))));
    server.listen(port, host, () => resolve(server));
  });
}

function listenProblem(error, port, host) {
  if (error.code === "EADDRINUSE")
    return `port ${port} is in use: stop the program that has it, or choose another port with PORT=${port + 1}`;
  if (error.code === "EACCES") return `port ${port} needs more rights: choose one above 1023 with PORT=8080`;
  return `cannot listen on ${host}:${port}: ${error.message}`;
}

async function main(args, env) {
  const unknown = args.find((argument) => argument !== "--no-isolation");
  if (unknown) throw new Error(`unknown option \`${unknown}\`: the only one is --no-isolation`);
  const port = Number(env.PORT || 8080);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`\`PORT\` is \`${env.PORT}\`: expected a number from 0 to 65535`);
  const host = env.HOST || "127.0.0.1";

  const page = fileURLToPath(new URL("./dist/", import.meta.url));
  if (!existsSync(join(page, "index.html")))
    throw new Error("the page is not built yet: run `./build.sh build` first");
  const mounts = [
    ["/models/", fileURLToPath(new URL("../models/", import.meta.url))],
    ["/", page],
  ];
  const server = await listen(
    fileHandler(mounts, { isolation: !args.includes("--no-isolation") }),
    port,
    host,
  );
  const name = ["127.0.0.1", "0.0.0.0", "::", "::1"].includes(host) ? "localhost" : host;
  console.log(`Tallow is at http://${name}:${server.address().port}/`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await main(process.argv.slice(2), process.env).catch((error) => {
    console.error(`serve: ${error.message}`);
    process.exitCode = 1;
  });
}
