/**
 * Pictures of the page in each of its states, on a phone and on a desk, light and dark, for people to look at:
 * `node tests/screenshots.js FOLDER [WORD]`, where only pictures whose name has WORD are taken. `CHROMIUM` is the
 * browser's path, if it is not Playwright's own. The model is the tests' fake.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "@playwright/test";
import { createServer } from "vite";

const [folder, word = ""] = process.argv.slice(2);
if (!folder) throw new Error("expected a folder for the pictures");

const devices = {
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  desk: { viewport: { width: 1280, height: 800 } },
};

/** Each state: what the address asks for, and what is done there. */
const scenes = {
  loading: ["slow", (page) => page.getByTestId("bytes").filter({ hasText: "42.3 MB" }).waitFor()],
  empty: ["", ready],
  writing: ["", async (page) => (await ready(page), page.getByTestId("composer").fill(poem))],
  talking: ["", async (page) => (await say(page, "What does a candle need? Use markdown."), settle(page))],
  top: [
    "",
    async (page) => {
      await say(page, "What does a candle need? Use markdown.");
      await settle(page);
      await page.getByRole("region", { name: "Conversation" }).evaluate((element) => element.scrollTo(0, 0));
    },
  ],
  streaming: ["", async (page) => (await say(page, "Go on forever"), page.waitForTimeout(800))],
  stopped: [
    "",
    async (page) => {
      await say(page, "Go on forever");
      await page.waitForTimeout(500);
      await page.keyboard.press("Escape");
    },
  ],
  settings: ["", async (page) => (await ready(page), page.getByTestId("open-settings").click())],
  info: ["", async (page) => (await ready(page), page.getByTestId("open-model").click())],
  broken: ["broken", (page) => page.getByTestId("problem").waitFor()],
  offline: [
    "offline",
    async (page) => {
      await page.getByText("Details").click();
    },
  ],
  cancelled: ["slow", (page) => page.getByRole("button", { name: "Cancel" }).click()],
  lost: ["", async (page) => (await say(page, "Get lost"), page.getByTestId("problem").first().waitFor())],
  full: ["", async (page) => (await say(page, "fill it"), settle(page))],
  "too-long": ["", async (page) => (await say(page, "This is too long"), settle(page))],
};

const poem = "A candle on the window sill\nburns low, and yet is burning still.\n\nCan you go on with this?";

function ready(page) {
  return page.getByTestId("examples").waitFor();
}

async function say(page, text) {
  await ready(page);
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send").click();
}

function settle(page) {
  return page.locator("[data-testid=answer]:not([data-status=streaming])").last().waitFor();
}

await mkdir(folder, { recursive: true });
const root = fileURLToPath(new URL("../", import.meta.url));
const server = await createServer({ root, mode: "fake", logLevel: "error", server: { port: 0 } });
await server.listen();
const address = server.resolvedUrls.local[0];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--disable-gpu"] });
try {
  for (const [scene, [model, act]] of Object.entries(scenes))
    for (const [device, options] of Object.entries(devices))
      for (const colorScheme of ["light", "dark"]) {
        const name = `${scene}-${device}-${colorScheme}`;
        if (!name.includes(word)) continue;
        const page = await browser.newPage({ ...options, colorScheme });
        page.on("console", (message) => message.type() === "error" && console.error(name, message.text()));
        page.on("pageerror", (error) => console.error(name, error));
        await page.goto(model ? `${address}?model=models/${model}.gguf` : address);
        await act(page);
        await page.waitForTimeout(400);
        await page.screenshot({ path: join(folder, `${name}.png`) });
        await page.close();
      }
} finally {
  await browser.close();
  await server.close();
}
