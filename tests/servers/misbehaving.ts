/** A server of one file that does what servers and networks do to downloads, as a test scripts it. */

import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";

/** What is done to one request; one without any is answered as RFC 9110 has it. */
export interface Misbehaviour {
  /** Closes the connection instead of an answer. */
  hangUp?: true;
  /** Never answers. */
  silent?: true;
  /** Answers with this status and not with the file. */
  status?: number;
  /** In place of the headers that are right; `null` leaves one out, which for Content-Length makes chunks. */
  headers?: Record<string, string | null>;
  /** Another version of the file. */
  file?: Uint8Array;
  /** Has no ranges. */
  ranges?: false;
  /** Answers a range request from this byte on, whichever was asked for. */
  rangeStart?: number;
  /** Ends a range after so many bytes, though more are asked for. */
  rangeLength?: number;
  /** Answers with a range though the whole file is asked for. */
  unasked?: true;
  /** Sends the whole file and calls it the range that was asked for. */
  wholeAsRange?: true;
  /** Encodes the whole file; a range is identity all the same. */
  encoding?: keyof typeof encoders;
  /** Closes the connection after so many bytes of the body. */
  cut?: number;
  /** How many milliseconds after the last of them, {@link LINGER} by default: a browser may drop what it has not yet handed on. */
  linger?: number;
  /** Sends nothing more after so many bytes of the body. */
  stall?: number;
  /** Ends the body after so many bytes, in good order. */
  end?: number;
  /** Sends so many bytes at a time, with a pause before each. */
  drip?: { bytes: number; ms: number };
}

/** A request as it came in. */
export interface SeenRequest {
  path: string;
  headers: IncomingHttpHeaders;
  /** Milliseconds, as of `performance.now`. */
  at: number;
  /** Whether the client, or the script, closed the connection before the answer was whole. */
  broken: boolean;
}

export interface MisbehavingServer extends AsyncDisposable {
  /** The file's. */
  url: string;
  /** All but the CORS preflights, in order. */
  requests: SeenRequest[];
}

/** What all answers say to pages of other origins: by default that they may read, and nothing more. */
export interface Cors {
  allowHeaders?: string;
  exposeHeaders?: string;
}

const encoders = { gzip: gzipSync, br: brotliCompressSync };

/** Of the file, unless a script has others. */
export const ETAG = '"1"';
export const LAST_MODIFIED = "Sat, 01 Jun 2024 12:00:00 GMT";

/** How long a connection lives after its last byte, so that the client sees that byte before the end. */
const LINGER = 20;

/** Serves `file` on a free port: the first request as the first of `script` says, and so on; then as it should. */
export async function misbehave(
  file: Uint8Array,
  script: Misbehaviour[] = [],
  cors: Cors = {},
): Promise<MisbehavingServer> {
  const requests: SeenRequest[] = [];
  const listener = misbehaving(file, script, requests);
  const server = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    if (cors.exposeHeaders) response.setHeader("Access-Control-Expose-Headers", cors.exposeHeaders);
    if (request.method !== "OPTIONS") return listener(request, response);
    if (cors.allowHeaders) response.setHeader("Access-Control-Allow-Headers", cors.allowHeaders);
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** What {@link misbehave} does to a request, for servers that do other things too; it adds to `requests`. */
export function misbehaving(
  file: Uint8Array,
  script: Misbehaviour[],
  requests: SeenRequest[],
): RequestListener {
  return (request, response) => {
    const { url = "", headers } = request;
    const seen: SeenRequest = { path: url, headers, at: performance.now(), broken: false };
    response.on("close", () => (seen.broken = !response.writableFinished));
    const misbehaviour = script[requests.length] ?? {};
    requests.push(seen);
    void answer(request, response, misbehaviour.file ?? file, misbehaviour);
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  file: Uint8Array,
  misbehaviour: Misbehaviour,
): Promise<void> {
  if (misbehaviour.silent) return;
  if (misbehaviour.hangUp) {
    request.socket.destroy();
    return;
  }
  const { status, headers, body } = representation(request, file, misbehaviour);
  for (const [name, value] of Object.entries({ ...headers, ...misbehaviour.headers }))
    if (value !== null) response.setHeader(name, value);
  response.writeHead(status);
  response.flushHeaders();
  await send(response, body, misbehaviour);
}

/** The answer in good order, but for what is said of its encoding and ranges. */
function representation(
  request: IncomingMessage,
  file: Uint8Array,
  { status, headers, ranges, rangeStart, rangeLength = file.length, ...odd }: Misbehaviour,
): { status: number; headers: Record<string, string>; body: Uint8Array } {
  if (status !== undefined) {
    const body = new TextEncoder().encode("no file");
    return { status, headers: { "Content-Length": `${body.length}` }, body };
  }
  const validators = { ETag: ETAG, "Last-Modified": LAST_MODIFIED };
  const first = /^bytes=(\d+)-$/.exec(request.headers.range ?? (odd.unasked ? "bytes=0-" : ""))?.[1];
  const ifRange = request.headers["if-range"];
  // What an answer leaves out, the server knows all the same.
  const current = [headers?.["ETag"] ?? ETAG, headers?.["Last-Modified"] ?? LAST_MODIFIED];
  if (
    ranges === false ||
    first === undefined ||
    (typeof ifRange === "string" && !current.includes(ifRange))
  ) {
    const body = odd.encoding ? encoders[odd.encoding](file) : file;
    const encoding = odd.encoding && { "Content-Encoding": odd.encoding };
    return { status: 200, headers: { ...validators, ...encoding, "Content-Length": `${body.length}` }, body };
  }
  const start = rangeStart ?? Number(first);
  const part = file.subarray(start, start + rangeLength);
  const range = part.length > 0 ? `${start}-${start + part.length - 1}` : "*";
  const body = odd.wholeAsRange ? file : part;
  return {
    status: part.length > 0 ? 206 : 416,
    headers: {
      ...validators,
      "Content-Range": `bytes ${range}/${file.length}`,
      "Content-Length": `${body.length}`,
    },
    body,
  };
}

async function send(
  response: ServerResponse,
  body: Uint8Array,
  { cut, linger = LINGER, stall, end, drip }: Misbehaviour,
): Promise<void> {
  const sent = body.subarray(0, cut ?? stall ?? end);
  const step = drip?.bytes ?? sent.length;
  for (let at = 0; at < sent.length && !response.destroyed; at += step) {
    if (drip) await pause(drip.ms);
    response.write(sent.subarray(at, at + step));
  }
  if (stall !== undefined) return;
  if (cut === undefined) {
    response.end();
    return;
  }
  await pause(linger);
  response.destroy();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
