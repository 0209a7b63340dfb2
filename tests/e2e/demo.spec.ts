/** The demo page as `build.sh run` serves it, with the real model. */

import { expect, test, type Page } from "@playwright/test";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { goldenCases } from "./golden.js";
import { serve, type TestServer } from "./server.js";

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";
const GRAVITY = "What is gravity?";

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const answer = (page: Page) => page.getByTestId("answer").last();

/** The paragraphs of the last answer; the element that renders them keeps them in its shadow tree. */
async function answerText(page: Page): Promise<string> {
  return (await answer(page).getByTestId("answer-text").locator("p").allTextContents()).join("\n").trim();
}

async function openDemo(page: Page, url = server.url) {
  await page.goto(url);
  await expect(page.getByTestId("status")).toHaveText("Ready", { timeout: 60_000 });
}

async function say(page: Page, text: string) {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send").click();
}

/** Greedy answers of at most `maxTokens` tokens. */
async function setGreedy(page: Page, maxTokens: number) {
  await page.getByTestId("open-settings").click();
  await page.locator("#temperature").fill("0");
  await page.locator("#max_tokens").fill(String(maxTokens));
  await page.keyboard.press("Escape");
}

/** What the page's log must not have. */
function watch(page: Page): string[] {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  return problems;
}

/** The words of the golden answer that are certain, from llama.cpp's tokens. */
async function goldenWords(page: Page): Promise<string> {
  const golden = goldenCases.find(({ prompt }) => prompt.includes(GRAVITY));
  const words = await page.evaluate(
    async ([model, certain]) => {
      // Importing by address keeps the demo's own copy of the package out of it.
      const { loadModel } = (await import(`${location.origin}/tallow/index.js`)) as typeof import("tallow");
      const loaded = await loadModel(model);
      const words = await loaded.detokenize(Uint32Array.from(certain));
      await loaded.dispose();
      return words;
    },
    [MODEL, golden?.certain ?? []] as const,
  );
  expect(words.length).toBeGreaterThan(20);
  return words;
}

test("answers as llama.cpp does, tells how fast, and remembers the conversation", async ({ page }) => {
  const problems = watch(page);
  await openDemo(page);
  const words = await goldenWords(page);
  await setGreedy(page, 32);
  await say(page, GRAVITY);
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 120_000 });
  await expect(answer(page).getByTestId("answer-text")).toContainText(words.trim());
  await expect(answer(page).getByTestId("speed")).toHaveText(/^[\d.]+ tokens\/s$/);
  await expect(answer(page).getByTestId("tokens")).toHaveText("32 tokens");
  await expect(answer(page).getByTestId("first-token")).toHaveText(/to first token$/);

  await say(page, "Thank you.");
  await expect(page.getByTestId("answer")).toHaveCount(2);
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 120_000 });
  expect(problems).toEqual([]);
});

test("stops at once, answers again, and starts anew after a reload", async ({ page }) => {
  await openDemo(page);
  await setGreedy(page, 512);
  await say(page, "Tell me a long story about a candle.");
  await expect.poll(() => answerText(page), { timeout: 60_000 }).not.toBe("");
  await page.getByTestId("stop").click();
  await expect(answer(page)).toHaveAttribute("data-status", "stopped", { timeout: 5_000 });
  const stopped = await answerText(page);

  await page.getByTestId("regenerate").click();
  await expect(answer(page)).toHaveAttribute("data-status", "streaming");
  await expect.poll(() => answerText(page), { timeout: 60_000 }).toContain(stopped.slice(0, 20));

  await page.reload();
  await expect(page.getByTestId("status")).toHaveText("Ready", { timeout: 60_000 });
  await expect(page.getByTestId("question")).toHaveCount(0);
  await setGreedy(page, 16);
  await say(page, GRAVITY);
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 60_000 });
});

test("talks where the page is not cross-origin isolated", async ({ page }) => {
  await using plain = await serve({ isolation: false });
  await openDemo(page, plain.url);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  await setGreedy(page, 16);
  await say(page, GRAVITY);
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 60_000 });
});

test("a broken file is told of in words, and another one loads", async ({ page }) => {
  await openDemo(page);
  await page.getByTestId("open-model").click();
  await page.getByTestId("model-file").setInputFiles({
    name: "broken.gguf",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("GGUF\u0003\u0000\u0000\u0000 and nothing that makes sense after it"),
  });
  await expect(page.getByTestId("problem")).toHaveAttribute("data-code", "invalid_model");
  await page.getByRole("button", { name: "Choose another model" }).click();
  await page.getByTestId("default-model").click();
  await expect(page.getByTestId("status")).toHaveText("Ready", { timeout: 60_000 });
});

test("the stored model is shown with its size, and deleted", async ({ page }) => {
  await openDemo(page);
  await page.getByTestId("open-model").click();
  const stored = page.getByTestId("stored-model");
  await expect(stored).toHaveCount(1);
  await expect(stored).toContainText(/smollm2-135m-instruct-q4_1\s+\d+ MB/);
  await expect(page.getByTestId("room")).toHaveText(/^\s*This page takes .*MB of the .* that it may\.\s*$/);
  await page.getByRole("button", { name: "Delete smollm2-135m-instruct-q4_1" }).click();
  await expect(page.getByTestId("none-stored")).toHaveText("No model is stored.");
  await page.keyboard.press("Escape");
  await setGreedy(page, 4);
  await say(page, GRAVITY);
  await expect(answer(page)).toHaveAttribute("data-status", "finished", { timeout: 60_000 });
});

/** A promise and what resolves it. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((resolved) => (resolve = resolved));
  return { promise, resolve };
}

test("a page that is left while loading lets go of the download", async ({ page }) => {
  // Sends the first mebibyte and then waits for ever, as a stalled connection does.
  const beginning = Buffer.alloc(1 << 20);
  const file = await open(new URL(`../..${MODEL}`, import.meta.url));
  await file.read(beginning);
  await file.close();
  const { promise: begun, resolve: begin } = withResolvers();
  const { promise: closed, resolve: release } = withResolvers();
  await using stalling = await serve({
    intercept: (request, response) => {
      if (request.url !== MODEL) return false;
      response.writeHead(200, { "Content-Length": 98_362_432, "Content-Type": "application/octet-stream" });
      response.write(beginning);
      begin();
      void once(response, "close").then(release);
      return true;
    },
  });
  await page.goto(stalling.url);
  await expect(page.getByTestId("loading")).toBeVisible();
  await begun;
  await page.goto("about:blank");
  await closed;
  expect(page.workers()).toHaveLength(0);
});

test("a page that is left while it answers ends its workers", async ({ page }) => {
  await openDemo(page);
  await say(page, "Tell me a long story about a candle.");
  await expect(page.getByTestId("status")).toHaveText("Answering");
  const threads = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 8));
  expect(page.workers()).toHaveLength(threads);
  await page.goto("about:blank");
  await expect.poll(() => page.workers().length).toBe(0);
});
