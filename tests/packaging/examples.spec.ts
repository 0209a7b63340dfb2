/** The examples in `examples/web`, with the packed package: built, served, and asked in Chromium. */

import { expect, test, type Page } from "@playwright/test";
import { serve, type Mount } from "../e2e/server.js";
import { installExample } from "./project.js";

const MODELS: Mount = ["/models/", new URL("../../models/", import.meta.url).pathname];

/** Asks the page's model; the answer comes into what `answer` finds. */
async function ask(page: Page, url: string, answer: string) {
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(url);
  await expect(page.locator("[role=status]")).toHaveText("Ready", { timeout: 120_000 });
  await page.getByLabel("Question").fill("What is the capital of France?");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.locator(answer)).toHaveText(/\w/, { timeout: 120_000 });
  return said;
}

/** Asks for more than the context holds, and is told so. */
async function askTooMuch(page: Page) {
  await page.getByLabel("Question").fill("again and ".repeat(4000));
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(page.locator("[role=status]")).toHaveText(/context/, { timeout: 120_000 });
}

test("a plain page, which a press on Stop stops", async ({ page }) => {
  await using project = await installExample("plain");
  await using server = await serve({ first: [MODELS, ["/", `${project.folder}/`]] });
  expect(await ask(page, server.url, "output")).toEqual([]);
  await askTooMuch(page);
  await page.getByLabel("Question").fill("Tell me a long story about the sea.");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.locator("[role=status]")).toHaveText(/^(Stopped|Ready)$/);
});

test("React with Vite", async ({ page }) => {
  await using project = await installExample("react");
  await project.run("npm", "run", "--silent", "build");
  await using server = await serve({ first: [MODELS, ["/", `${project.folder}/dist/`]] });
  expect(await ask(page, server.url, "p.assistant")).toEqual([]);
  await expect(page.locator("[role=status]")).toHaveText("Ready");
  // At once, since an answer soon ends by itself.
  await page.getByLabel("Question").fill("Tell me a long story about the sea.");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.locator("[role=status]")).toHaveText("Ready");
});

test("Next, rendered on its server first", async ({ page }) => {
  await using project = await installExample("next");
  await project.linkModels("public/models");
  await project.run("npm", "run", "--silent", "build");
  await using server = await project.start(/http:\/\/localhost:\d+/, "npm", "start", "--", "--port", "0");
  expect(await (await fetch(server.url)).text()).toContain("Question");
  expect(await ask(page, server.url, "output")).toEqual([]);
  // React empties the form once the answer has ended.
  await expect(page.getByLabel("Question")).toHaveValue("", { timeout: 120_000 });
  await askTooMuch(page);
});
