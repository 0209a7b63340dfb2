/** The one Chromium in which everything runs, and the server of its pages. */

import { chromium } from "@playwright/test";
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { contentSecurityPolicy } from "../www/policy.js";
import { fileHandler } from "../www/serve.js";

/** @param {string} path */
const folder = (path) => fileURLToPath(new URL(path, import.meta.url));

// wllama starts its workers from blobs.
const POLICY = contentSecurityPolicy
  .replace("script-src 'self'", "script-src 'self' blob:")
  .replace("worker-src 'self'", "worker-src 'self' blob:");

/**
 * Serves what the pages need, isolated, on a free port.
 * @param {Record<string, string>} folders more of them, by path
 */
async function serve(folders) {
  /** @type {[string, string][]} */
  const mounts = [
    ["/models/", folder("../models/")],
    // With the glue of the wasm, which the package has inside of its worker.
    ["/tallow/wasm/", folder("../js/src/wasm/")],
    ["/tallow/", folder("../js/dist/")],
    ["/wllama/", fileURLToPath(new URL(".", import.meta.resolve("@wllama/wllama/esm/index.js")))],
    ...Object.entries(folders),
    ["/", folder("./")],
  ];
  const server = createServer(fileHandler(mounts, { policy: POLICY })).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/**
 * Opens the browser, and closes it when `use` is done with it.
 * @template T
 * @param {Record<string, string>} folders what is served besides, by path
 * @param {(browser: Browser) => Promise<T>} use
 */
export async function withBrowser(folders, use) {
  const server = await serve(folders);
  // As in playwright.config.ts.
  const chrome = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    return await use(new Browser(chrome, `http://127.0.0.1:${server.address().port}/page.html`));
  } finally {
    await chrome.close();
    server.closeAllConnections();
    server.close();
  }
}

/** Opens pages of the benchmark. */
export class Browser {
  #chrome;
  #url;

  /**
   * @param {import("@playwright/test").Browser} chrome
   * @param {string} url
   */
  constructor(chrome, url) {
    this.#chrome = chrome;
    this.#url = url;
  }

  get version() {
    return `Chromium ${this.#chrome.version()}`;
  }

  /**
   * Opens a page of its own, with nothing left from others, and closes it when `use` is done with it.
   * @template T
   * @param {(call: (method: string, ...args: unknown[]) => Promise<any>, page: import("@playwright/test").Page) => Promise<T>} use
   * is given what calls the page's `bench`
   */
  async withPage(use) {
    const page = await this.#chrome.newPage();
    try {
      page.on("pageerror", (error) => console.error(error));
      await page.goto(this.#url);
      await page.waitForFunction(() => "bench" in globalThis);
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) console.error(message.text());
      });
      if (!(await page.evaluate(() => crossOriginIsolated)))
        throw new Error("the page should be cross-origin isolated, and is not");
      const call = (method, ...args) =>
        page.evaluate(
          ([method, args]) => globalThis.bench[method](...args),
          /** @type {const} */ ([method, args]),
        );
      return await use(call, page);
    } finally {
      await page.close();
    }
  }
}
