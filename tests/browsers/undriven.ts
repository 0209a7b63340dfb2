/**
 * Browsers that are no Chromium, with a page that does it all and reports. Nobody drives Firefox meanwhile: where its remote
 * agent (153) listens to workers, one of seventy that a worker opens is never given back to it.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { json } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../e2e/server.js";
import { webkit } from "../storage/browsers.js";

export const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";

export interface Undriven {
  name: string;
  /** WebKitGTK has what it takes, as Safari, but only for who asks for it. */
  sharesMemory: boolean;
  open(url: string): Promise<AsyncDisposable>;
}

export const browsers: Undriven[] = [
  { name: "Firefox", sharesMemory: true, open: firefox },
  { name: "WebKitGTK", sharesMemory: false, open: (url) => webkit(url, "tallow") },
  {
    name: "WebKitGTK with SharedArrayBuffer",
    sharesMemory: true,
    open: (url) => webkit(url, "tallow", { JSC_useSharedArrayBuffer: "1" }),
  },
];

/** What `page`, of this folder, reports of `plan`, and how often it asked for the model. It may hold other pages in frames. */
export async function reportOf<T>(
  { open }: Undriven,
  page: string,
  plan: object,
): Promise<{ report: T & { error?: string }; asked: number }> {
  let asked = 0;
  let reported: (report: Promise<unknown>) => void = () => {};
  const report = new Promise<unknown>((resolve) => (reported = resolve)) as Promise<T & { error?: string }>;
  await using server = await serve({
    first: [["/browsers/", fileURLToPath(new URL("./", import.meta.url))]],
    intercept(request, response) {
      const setHeader = response.setHeader.bind(response);
      response.setHeader = (name, value) =>
        setHeader(
          name,
          String(value).replace("frame-ancestors 'none'", "frame-ancestors 'self'; frame-src 'self'"),
        );
      if (request.url === MODEL) asked++;
      if (request.url === "/browsers/plan.json") response.end(JSON.stringify(plan));
      else if (request.url === "/browsers/report") response.end(reported(json(request)));
      else return false;
      return true;
    },
  });
  await using _browser = await open(`${server.url}/browsers/${page}`);
  return { report: await report, asked };
}

/** Firefox, left to itself. */
async function firefox(url: string): Promise<AsyncDisposable> {
  const profile = await mkdtemp(join(tmpdir(), "tallow-firefox-"));
  const path = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";
  const browser = spawn(path, ["--headless", "--no-remote", "--profile", profile, url], {
    stdio: "ignore",
    detached: true,
  });
  const exit = once(browser, "exit");
  return {
    async [Symbol.asyncDispose]() {
      if (browser.pid) process.kill(-browser.pid, "SIGKILL");
      await exit;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
