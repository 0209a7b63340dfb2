/** Pages without a network: what their service workers keep, and how a new version comes. */

import { expect, test, type Page } from "@playwright/test";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeServiceWorker } from "../../www/precache.js";
import { serve, type TestServer } from "./server.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const DIST = path("../../www/dist/");

interface CuttableServer extends TestServer {
  /** From here on nothing is answered; returns what is asked for in vain. */
  cut(): string[];
}

async function serveUntilCut(): Promise<CuttableServer> {
  let isCut = false;
  const asked: string[] = [];
  const server = await serve({
    intercept: (request) => {
      const { url = "" } = request;
      if (!isCut) return false;
      asked.push(url);
      request.destroy();
      return true;
    },
  });
  const cut = () => {
    isCut = true;
    return asked;
  };
  return { ...server, cut };
}

/** Waits until the page's service worker is there, and forgets what the browser has cached by itself. */
async function keep(page: Page) {
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  const session = await page.context().newCDPSession(page);
  await session.send("Network.clearBrowserCache");
  await session.detach();
}

const answer = (page: Page) => page.getByTestId("answer").last();

/** Has the model answer, once it is there. */
async function talk(page: Page) {
  await expect(page.getByTestId("status")).toHaveText("Ready", { timeout: 60_000 });
  await page.getByTestId("open-settings").click();
  await page.locator("#max_tokens").fill("16");
  await page.keyboard.press("Escape");
  await page.getByTestId("composer").fill("What is gravity?");
  await page.getByTestId("send").click();
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 60_000 });
}

test("the demo page loads, chats and reloads without a network", async ({ page, context }) => {
  await using server = await serveUntilCut();
  await page.goto(server.url);
  await expect(page.getByTestId("status")).toHaveText("Ready", { timeout: 60_000 });
  await keep(page);
  const asked = server.cut();

  await page.reload();
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await talk(page);
  const threads = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 8));
  expect(page.workers()).toHaveLength(threads);
  await page.getByTestId("open-model").click();
  await expect(page.getByTestId("runtime-info")).toContainText("yes, this page is kept on this device");

  await context.setOffline(true);
  await page.reload();
  await expect(page.getByTestId("composer")).toBeVisible();
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await talk(page);
  // Whether there is a newer version.
  expect(asked.filter((url) => !url.startsWith("/sw.js"))).toEqual([]);
});

test("of the wasm modules only the one that runs is kept", async ({ page }) => {
  await using server = await serve();
  await page.goto(`${server.url}/?model=none.gguf`);
  await keep(page);
  const held = await page.evaluate(async () => {
    const [name = ""] = await caches.keys();
    return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
  });
  expect(held.filter((name) => name.endsWith(".wasm"))).toEqual([
    expect.stringMatching(/^\/assets\/relaxed-.*\.wasm$/),
  ]);
  expect(held).toEqual(
    expect.arrayContaining([
      "/",
      "/manifest.webmanifest",
      expect.stringMatching(/^\/assets\/worker-.*\.js$/),
    ]),
  );
});

test("models, parts of files and other addresses go past the service worker", async ({ page }) => {
  await using server = await serve();
  await page.goto(`${server.url}/?model=none.gguf`);
  await keep(page);
  const kept = new Map<string, boolean>();
  page.on("response", (response) => {
    kept.set(response.url().slice(server.url.length), response.fromServiceWorker());
  });
  await page.goto(`${server.url}/index.html?model=none.gguf`);
  const statuses = await page.evaluate(async () => {
    const range = { headers: { Range: "bytes=0-3" } };
    const model = await fetch("models/smollm2-135m-instruct-q4_1.gguf", range);
    const part = await fetch("tallow.svg?part", range);
    const whole = await fetch("tallow.svg?whole");
    const other = await fetch("tallow/index.js");
    return [model.status, part.status, whole.status, other.status];
  });
  expect(statuses).toEqual([206, 206, 200, 200]);
  await expect.poll(() => kept.has("/none.gguf")).toBe(true);
  expect(Object.fromEntries(kept)).toMatchObject({
    "/index.html?model=none.gguf": true,
    "/none.gguf": false,
    "/models/smollm2-135m-instruct-q4_1.gguf": false,
    "/tallow.svg?part": false,
    "/tallow.svg?whole": true,
    "/tallow/index.js": false,
  });
});

test("below a path, a new version comes when no page of the old one is open", async ({ page, context }) => {
  const folder = await mkdtemp(join(tmpdir(), "tallow-versions-"));
  await cp(DIST, folder, { recursive: true });
  await using server = await serve({ first: [["/below/a/path/", folder]] });
  const url = `${server.url}/below/a/path/?model=none.gguf`;
  const cacheNames = () => page.evaluate(() => caches.keys());
  await page.goto(url);
  await keep(page);
  const [old] = await cacheNames();
  expect(old).toContain("/below/a/path/");

  const html = join(folder, "index.html");
  await writeFile(html, (await readFile(html, "utf8")).replace("<title>Tallow", "<title>Newer Tallow"));
  writeServiceWorker(folder);
  const other = await context.newPage();
  await other.goto(url);
  // Browsers look for a new one some seconds after a page is there.
  const waiting = () => other.evaluate(async () => (await navigator.serviceWorker.ready).waiting?.state);
  await expect.poll(waiting, { timeout: 30_000 }).toBe("installed");
  for (const each of [page, other]) {
    await each.reload();
    await each.waitForTimeout(500);
    await expect(each).toHaveTitle("Tallow");
  }
  expect(await cacheNames()).toHaveLength(2);

  await other.close();
  // A busy browser counts a closed page among the open ones for a while.
  await expect(async () => {
    await page.reload();
    await expect(page).toHaveTitle("Newer Tallow", { timeout: 3000 });
  }).toPass({ timeout: 30_000 });
  await expect.poll(cacheNames).not.toContain(old);
  expect(await cacheNames()).toHaveLength(1);
  await rm(folder, { recursive: true });
});

test("a version of which a file is not as it was built is not taken", async ({ page }) => {
  await using server = await serve({
    intercept: ({ url }, response) => {
      if (url !== "/") return false;
      response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>Older</title>");
      return true;
    },
  });
  await page.goto(`${server.url}/test/package.html`);
  const state = await page.evaluate(async () => {
    const { installing } = await navigator.serviceWorker.register("/sw.js?module=relaxed");
    return new Promise((resolve) =>
      installing?.addEventListener("statechange", () => resolve(installing.state)),
    );
  });
  expect(state).toBe("redundant");
});

test("the manifest makes the demo page installable", async ({ playwright }) => {
  const profile = await mkdtemp(join(tmpdir(), "tallow-profile-"));
  await using server = await serve();
  const context = await playwright.chromium.launchPersistentContext(profile);
  const page = await context.newPage();
  await page.goto(`${server.url}/?model=none.gguf`);
  const session = await context.newCDPSession(page);
  const { url, errors, data } = await session.send("Page.getAppManifest");
  expect(url).toBe(`${server.url}/manifest.webmanifest`);
  expect(errors).toEqual([]);
  expect(JSON.parse(data ?? "")).toMatchObject({ name: "Tallow", display: "standalone", start_url: "./" });
  expect(await session.send("Page.getInstallabilityErrors")).toEqual({ installabilityErrors: [] });
  await context.close();
  await rm(profile, { recursive: true });
});

test("the example works without a network after one visit", async ({ page }) => {
  await using server = await serveUntilCut();
  await page.goto(`${server.url}/offline/`);
  const status = page.getByRole("status").first();
  await expect(status).toHaveText("Ready", { timeout: 60_000 });
  await keep(page);
  const asked = server.cut();

  await page.goto(`${server.url}/offline/?again`);
  await expect(status).toHaveText("Ready", { timeout: 60_000 });
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await page.getByLabel("Question").fill("What is gravity?");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.locator("output")).not.toBeEmpty({ timeout: 60_000 });
  await expect(status).toHaveText("Ready", { timeout: 120_000 });
  expect(asked.filter((url) => url !== "/offline/sw.js")).toEqual([]);
});

test("the example tells what goes wrong", async ({ page }) => {
  let missing = true;
  await using server = await serve({
    intercept({ url = "" }, response) {
      if (!missing || !url.endsWith(".gguf")) return false;
      response.writeHead(404).end();
      return true;
    },
  });
  const status = page.getByRole("status").first();
  await page.goto(`${server.url}/offline/`);
  await expect(status).toHaveText(/with status 404/);
  missing = false;
  await page.reload();
  await expect(status).toHaveText("Ready", { timeout: 60_000 });
  for (const [question, outcome] of [
    ["again and ".repeat(4000), /context/],
    ["What is gravity?", "Ready"],
  ] as const) {
    await page.getByLabel("Question").fill(question);
    await page.getByRole("button", { name: "Ask" }).click();
    await expect(status).toHaveText(outcome, { timeout: 120_000 });
  }
});
