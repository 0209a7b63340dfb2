/** `tallow/isolation` in Chromium, on a server that sends no headers. */

import { expect, test, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { serve, type TestServer } from "./server.js";

declare global {
  // What isolation.js leaves in the page: how it went.
  var isolated: boolean | string;
}

const TINY = readFileSync(new URL("../golden/tiny/tiny-Q4_0.gguf", import.meta.url));

/** The service workers that a page may name. */
const serviceWorkers: Record<string, string> = {
  "/isolation-sw.js": readFileSync(new URL("../../js/dist/isolation-sw.js", import.meta.url), "utf8"),
  "/own-sw.js": `
    import { withIsolation } from "/tallow/isolation.js";
    addEventListener("fetch", (event) =>
      event.respondWith(fetch(event.request).then((response) => withIsolation(response))),
    );`,
  "/idle-sw.js": "addEventListener('fetch', () => {});",
  "/broken-sw.js": "addEventListener('install', (event) => event.waitUntil(Promise.reject()));",
  "/test/below/sw.js": "addEventListener('fetch', () => {});",
};

interface PlainServer extends TestServer {
  /** How often the page was asked for. */
  pages(): number;
}

async function servePlain(): Promise<PlainServer> {
  let pages = 0;
  const server = await serve({
    isolation: false,
    intercept: ({ url = "" }, response) => {
      const path = url.split("?", 1)[0] ?? "";
      if (path === "/test/isolation.html") pages += 1;
      const code = serviceWorkers[path];
      if (code !== undefined) response.writeHead(200, { "Content-Type": "text/javascript" }).end(code);
      else if (path === "/tiny.gguf") response.end(TINY);
      else return false;
      return true;
    },
  });
  return { ...server, pages: () => pages };
}

/** Opens the page with options of `isolate`, and waits for what comes of it. */
async function open(page: Page, { url }: TestServer, options: Record<string, string>) {
  await page.goto(`${url}/test/isolation.html?${new URLSearchParams(options)}`);
  await page.waitForFunction(() => "isolated" in globalThis);
  return page.evaluate(() => isolated);
}

/** Loads the tiny model with two threads and asks it. */
async function talk(page: Page) {
  return page.evaluate(async () => {
    const model = await tallow.loadModel("/tiny.gguf", { threads: 2 });
    const answer = await model.completions.create({ prompt: "abc", max_tokens: 8, ignore_eos: true });
    return { threads: model.info.threads, tokens: answer.usage.completion_tokens };
  });
}

test("the page is isolated after one reload, and a model has threads", async ({ page }) => {
  await using server = await servePlain();
  expect(await open(page, server, { serviceWorker: "/isolation-sw.js" })).toBe(true);
  expect(server.pages()).toBe(2);
  const { threads, hardwareConcurrency } = await page.evaluate(() => tallow.capabilities());
  expect(threads).toBe(Math.min(hardwareConcurrency, 8));
  expect(await talk(page)).toEqual({ threads: 2, tokens: 8 });

  await page.reload();
  await page.waitForFunction(() => globalThis.isolated === true);
  expect(server.pages()).toBe(3);
});

test("a page that goes past its service worker reloads once and no more", async ({ page }) => {
  await using server = await servePlain();
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setBypassServiceWorker", { bypass: true });
  expect(await open(page, server, { serviceWorker: "/isolation-sw.js" })).toBe(false);
  await page.waitForTimeout(1000);
  expect(server.pages()).toBe(2);

  await session.send("Network.setBypassServiceWorker", { bypass: false });
  await page.reload();
  await page.waitForFunction(() => globalThis.isolated === true);
  expect(server.pages()).toBe(3);
});

for (const [embedderPolicy, outcome] of [
  ["credentialless", "opaque"],
  ["require-corp", "refused"],
] as const) {
  test(`with ${embedderPolicy} what comes from elsewhere without headers is ${outcome}`, async ({ page }) => {
    await using server = await servePlain();
    await using elsewhere = await serve({ isolation: false });
    expect(await open(page, server, { serviceWorker: "/isolation-sw.js", embedderPolicy })).toBe(true);
    const fetched = await page.evaluate(
      (url) =>
        fetch(url, { mode: "no-cors" }).then(
          ({ type }) => type,
          () => "refused",
        ),
      `${elsewhere.url}/tallow.svg`,
    );
    expect(fetched).toBe(outcome);
    expect(await talk(page)).toEqual({ threads: 2, tokens: 8 });
  });
}

test("a service worker of one's own can add the headers to everything", async ({ page }) => {
  await using server = await servePlain();
  expect(await open(page, server, { serviceWorker: "/own-sw.js", type: "module" })).toBe(true);
  expect(server.pages()).toBe(2);
  expect(await talk(page)).toEqual({ threads: 2, tokens: 8 });
  const part = await page.evaluate(async () => {
    const response = await fetch("/tiny.gguf", { headers: { Range: "bytes=0-3" } });
    return response.headers.get("Cross-Origin-Opener-Policy");
  });
  expect(part).toBe("same-origin");
});

for (const [what, serviceWorker, outcome, pages] of [
  ["that is missing", "/none.js", false, 1],
  ["that does not install", "/broken-sw.js", false, 1],
  ["that adds no headers", "/idle-sw.js", false, 2],
  ["that lies too deep", "/test/below/sw.js", "invalid_request", 1],
] as const) {
  test(`a service worker ${what} leaves the page as it is`, async ({ page }) => {
    await using server = await servePlain();
    expect(await open(page, server, { serviceWorker })).toBe(outcome);
    await page.waitForTimeout(1000);
    expect(server.pages()).toBe(pages);
    expect(await page.evaluate(() => tallow.capabilities().threads)).toBe(1);

    await page.reload();
    await page.waitForFunction(() => "isolated" in globalThis);
    expect(server.pages()).toBe(pages + 1);
  });
}
