/** The page in a browser with the fake model: what one can do, by mouse, by keyboard and by ear. */
import { expect, test, type Page } from "@playwright/test";

const answer = (page: Page) => page.getByTestId("answer").last();

test("loads, answers and tells how fast", async ({ page }) => {
  const problems = watch(page);
  await open(page);
  await expect(page.getByTestId("status")).toHaveText("Ready");
  await expect(page.getByTestId("model-name")).toHaveText("SmolLM2 135M Instruct · Q4_1");
  await say(page, "Why does a candle burn?");
  await expect(page.getByTestId("question")).toContainText("Why does a candle burn?");
  await expect(answer(page)).toHaveAttribute("data-status", "finished");
  await expect(answer(page).getByTestId("speed")).toHaveText("44.4 tokens/s");
  await expect(answer(page).getByTestId("first-token")).toHaveText(/^\d+ ms to first token$/);
  await expect(answer(page).getByTestId("tokens")).toHaveText("36 tokens");
  expect(problems).toEqual([]);
});

test("an example is a click away", async ({ page }) => {
  await open(page);
  await page.getByRole("button", { name: "Write a short poem about candlelight" }).click();
  await expect(page.getByTestId("question")).toContainText("Write a short poem about candlelight");
});

test("loading shows bytes and speed, and can be cancelled and begun again", async ({ page }) => {
  await page.goto("/?model=models/slow.gguf");
  await expect(page.getByTestId("bytes")).toHaveText("42.3 MB of 98.4 MB");
  await expect(page.getByTestId("speed")).toHaveText(/^[\d.]+ MB\/s · about \d+ s left$/);
  await expect(page.getByRole("progressbar")).toHaveAttribute("value", /^0\.43/);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByTestId("status")).toHaveText("Not loaded");
  await page.getByTestId("load").click();
  await expect(page.getByTestId("loading")).toBeVisible();
});

test("one can write while the model loads, but not send", async ({ page }) => {
  await page.goto("/?model=models/slow.gguf");
  await page.getByTestId("composer").fill("Too early");
  await expect(page.getByTestId("send")).toBeDisabled();
  await page.getByTestId("composer").press("Enter");
  await expect(page.getByTestId("composer")).toHaveValue("Too early");
});

for (const [name, code] of [
  ["broken", "invalid_model"],
  ["offline", "download_failed"],
  ["unsupported", "unsupported_model"],
  ["memory", "out_of_memory"],
])
  test(`a model that fails with ${code} is told of in words, with a way on`, async ({ page }) => {
    await page.goto(`/?model=models/${name}.gguf`);
    await expect(page.getByRole("alert")).toHaveAttribute("data-code", code ?? "");
    await expect(page.getByTestId("problem-detail")).toBeHidden();
    await page.getByText("Details").click();
    await expect(page.getByTestId("problem-detail")).toContainText(`${code}: `);
    await page.getByTestId("retry").click();
    await expect(page.getByRole("alert")).toBeVisible();
    await page.getByRole("button", { name: "Choose another model" }).click();
    await page.getByTestId("default-model").click();
    await expect(page.getByTestId("status")).toHaveText("Ready");
  });

test("Enter sends, Shift+Enter breaks the line, an input method keeps its Enter", async ({ page }) => {
  await open(page);
  const composer = page.getByTestId("composer");
  const { height } = (await composer.boundingBox()) ?? { height: 0 };
  await composer.press("Enter");
  await expect(page.getByTestId("question")).toHaveCount(0);
  await composer.pressSequentially("one");
  await composer.press("Shift+Enter");
  await composer.pressSequentially("two");
  await expect(composer).toHaveValue("one\ntwo");
  expect((await composer.boundingBox())?.height).toBeGreaterThan(height);
  await composer.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  await expect(page.getByTestId("question")).toHaveCount(0);
  await composer.press("Enter");
  await expect(page.getByTestId("question")).toHaveCount(1);
  await expect(composer).toHaveValue("");
  expect((await composer.boundingBox())?.height).toBe(height);
});

test("Escape and the button stop an answer; it can be regenerated", async ({ page }) => {
  await open(page);
  await say(page, "Go on forever");
  await expect(answer(page).getByTestId("speed")).toBeVisible();
  await expect(page.getByTestId("status")).toHaveText("Answering");
  await page.keyboard.press("Escape");
  await expect(answer(page)).toHaveAttribute("data-status", "stopped");
  await expect(answer(page).getByTestId("ending")).toHaveText("You stopped this answer.");
  await page.getByTestId("regenerate").click();
  await expect(answer(page)).toHaveAttribute("data-status", "streaming");
  await page.getByTestId("stop").click();
  await expect(answer(page)).toHaveAttribute("data-status", "stopped");
  await expect(page.getByTestId("answer")).toHaveCount(1);
});

test("an answer and its code can be copied", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await open(page);
  await say(page, "With markdown");
  await page.getByTestId("copy").click();
  await expect(page.getByTestId("copy")).toContainText("Copied");
  expect(await clipboard()).toMatch(/^Here is what a \*\*candle\*\* needs/);
  await page.getByRole("button", { name: "Copy code" }).click();
  await expect.poll(clipboard).toMatch(/^def burn\(candle, minutes\):\n/);
});

test("a new conversation begins at the beginning", async ({ page }) => {
  await open(page);
  await expect(page.getByTestId("new-conversation")).toBeDisabled();
  await say(page, "Hello");
  await page.getByTestId("new-conversation").click();
  await expect(page.getByTestId("examples")).toBeVisible();
  await expect(page.getByTestId("composer")).toBeFocused();
});

test("the view follows the answer until one scrolls up", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 500 });
  await open(page);
  await say(page, "Go on forever");
  const region = page.getByRole("region", { name: "Conversation" });
  const distance = () => region.evaluate((it) => it.scrollHeight - it.clientHeight - it.scrollTop);
  await expect.poll(() => region.evaluate((it) => it.scrollTop)).toBeGreaterThan(100);
  expect(await distance()).toBeLessThan(40);
  await region.hover();
  await page.mouse.wheel(0, -200);
  await expect(page.getByRole("button", { name: "To the end" })).toBeVisible();
  const where = await region.evaluate((it) => it.scrollTop);
  await page.waitForTimeout(400);
  expect(await region.evaluate((it) => it.scrollTop)).toBe(where);
  await page.getByRole("button", { name: "To the end" }).click();
  await expect.poll(distance).toBeLessThan(40);
});

test("the way to the end stays while it has the focus, and hands it on", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 500 });
  await open(page);
  await say(page, "With markdown");
  await expect(answer(page)).toHaveAttribute("data-status", "finished");
  const region = page.getByRole("region", { name: "Conversation" });
  const end = page.getByRole("button", { name: "To the end" });
  const scroll = (to: "top" | "end") =>
    region.evaluate((it, to) => it.scrollTo(0, to === "top" ? 0 : it.scrollHeight), to);
  await scroll("top");
  await end.focus();
  await scroll("end");
  await page.waitForTimeout(200);
  await expect(end).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByTestId("composer")).toBeFocused();
  await expect(end).toHaveCount(0);

  await scroll("top");
  await end.press("Enter");
  await expect(region).toBeFocused();
  await expect(end).toHaveCount(0);
});

test("settings are checked, kept and reset", async ({ page }) => {
  await open(page);
  await page.getByTestId("open-settings").click();
  const dialog = page.getByRole("dialog", { name: "Settings" });
  const form = page.getByTestId("settings"); // It is slotted into the dialog, and no descendant of it.
  await form.getByLabel("Temperature").first().fill("0");
  await form.getByLabel("Seed").fill("7");
  await form.getByLabel("System prompt").fill("Be brief.");
  await form.getByLabel("Max tokens").first().fill("1.5");
  await expect(form.getByRole("alert")).toHaveText("a whole number from 16 to 4,096, please");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(page.getByTestId("open-settings")).toBeFocused();

  await page.reload();
  await page.getByTestId("open-settings").click();
  await expect(form.getByLabel("Temperature").first()).toHaveValue("0");
  await expect(form.getByLabel("Seed")).toHaveValue("7");
  await expect(form.getByLabel("System prompt")).toHaveValue("Be brief.");
  await expect(form.getByLabel("Max tokens").first()).toHaveValue("512");
  await form.getByTestId("reset").click();
  await expect(form.getByLabel("Temperature").first()).toHaveValue("0.2");
  await expect(form.getByLabel("Seed")).toHaveValue("");
});

test("light and dark can be chosen and are remembered", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open(page);
  const light = await paper();
  await page.getByTestId("open-settings").click();
  await page.getByRole("radio", { name: "Dark" }).check();
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.reload();
  await expect.poll(paper).toBe(dark);
});

test("what a load warns of stands beside the model", async ({ page }) => {
  await open(page);
  await page.getByTestId("open-model").click();
  await expect(page.getByTestId("warning")).toHaveCount(0);
  await page.getByTestId("model-url").fill("https://a.example/unstored.gguf");
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await page.getByTestId("open-model").click();
  await expect(page.getByTestId("warning")).toHaveText("While loading: the storage is full");
});

test("the model can be looked into and exchanged", async ({ page }) => {
  await open(page);
  await page.getByTestId("open-model").click();
  await expect(page.getByTestId("model-info")).toContainText("135 M (134,515,008)");
  await expect(page.getByTestId("model-info")).toContainText("Q4_1 86%, Q8_0 14%, F32 <1%");
  await expect(page.getByTestId("runtime-info")).toContainText("relaxed SIMD");
  await page.getByText("Everything in the file").click();
  await expect(page.getByText("llama.embedding_length")).toBeVisible();
  await page.getByTestId("model-url").fill("javascript:alert(1)");
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("https:// or http://");
  await page.getByTestId("model-url").fill("https://a.example/broken.gguf");
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByTestId("problem")).toHaveAttribute("data-code", "invalid_model");
});

test("what is stored can be looked at and deleted, one model or all", async ({ page }) => {
  await open(page);
  await page.getByTestId("open-model").click();
  const stored = page.getByTestId("stored-model");
  await expect(stored).toHaveCount(2);
  await expect(stored.first()).toContainText(/smollm2-135m-instruct-q4_1\s+197 MB/);
  await expect(stored.last()).toContainText("12 MB, not all of it");
  await expect(page.getByTestId("room")).toHaveText("This page takes 209 MB of the 10 GB that it may.");
  await page.getByRole("button", { name: "Delete other-00001-of-00002" }).click();
  await expect(stored).toHaveCount(1);
  await expect(page.getByRole("heading", { name: "Stored in this browser" })).toBeFocused();
  await expect(page.getByTestId("stored-models").getByRole("status")).toHaveText(
    "other-00001-of-00002 was deleted",
  );
  await expect(page.getByTestId("delete-all")).toHaveCount(0);
  await page.getByRole("button", { name: "Delete smollm2-135m-instruct-q4_1" }).click();
  await expect(page.getByTestId("none-stored")).toHaveText("No model is stored.");
  await expect(page.getByTestId("room")).toHaveText("This page takes 0 B of the 10 GB that it may.");

  await page.reload();
  await page.getByTestId("open-model").click();
  await page.getByTestId("delete-all").click();
  await expect(page.getByTestId("none-stored")).toBeVisible();
});

test("a model that cannot be deleted is told of in words", async ({ page }) => {
  await page.goto("/?locked");
  await page.getByTestId("open-model").click();
  await page.getByTestId("delete-all").click();
  await expect(page.getByRole("alert")).toHaveText("the file could not be deleted");
  await expect(page.getByTestId("stored-model")).toHaveCount(2);
});

test("a file can be opened, and dropped on the page", async ({ page }) => {
  await open(page);
  await page.getByTestId("open-model").click();
  await page.getByTestId("model-file").evaluate((input: HTMLInputElement) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["GGUF"], "mine-broken.gguf"));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
  });
  await expect(page.getByTestId("model-name")).toHaveText("mine-broken");
  await expect(page.getByTestId("problem")).toHaveAttribute("data-code", "invalid_model");
  await expect(page.getByRole("dialog")).toHaveCount(0);

  const dropped = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["GGUF"], "dropped.gguf"));
    return transfer;
  });
  await page.dispatchEvent("tallow-app", "dragover", { dataTransfer: dropped });
  await expect(page.getByText("Drop a GGUF file to load it")).toBeVisible();
  await page.dispatchEvent("tallow-app", "drop", { dataTransfer: dropped });
  await expect(page.getByText("Drop a GGUF file to load it")).toBeHidden();
  await expect(page.getByTestId("status")).toHaveText("Ready");
});

test("a conversation that is too long offers a new one", async ({ page }) => {
  await open(page);
  await say(page, "This is too long");
  await expect(page.getByTestId("problem")).toHaveAttribute("data-code", "context_length_exceeded");
  await page.getByRole("button", { name: "New conversation" }).last().click();
  await say(page, "fill it");
  await expect(page.getByTestId("context-full")).toBeVisible();
  await page.getByTestId("context-full").getByRole("button", { name: "New conversation" }).click();
  await expect(page.getByTestId("examples")).toBeVisible();
});

test("a failed answer can be asked for again, a lost model loaded again", async ({ page }) => {
  await open(page);
  await say(page, "A fault, please");
  await answer(page).getByRole("button", { name: "Try again" }).click();
  await expect(page.getByTestId("problem")).toHaveAttribute("data-code", "internal");
  await page.getByTestId("new-conversation").click();
  await say(page, "Get lost");
  await expect(page.getByTestId("problem")).toHaveCount(1);
  await page.getByTestId("retry").click();
  await expect(page.getByTestId("status")).toHaveText("Ready");
  await expect(page.getByTestId("question")).toContainText("Get lost");
});

test("screen readers hear an answer once, when it is whole", async ({ page }) => {
  await open(page);
  await expect(page.getByTestId("announcement")).toHaveText("SmolLM2 135M Instruct is ready");
  await say(page, "Go on forever");
  await expect(answer(page)).toHaveAttribute("aria-busy", "true");
  await expect(answer(page)).toContainText("A candle gives light");
  await expect(page.getByTestId("announcement")).toBeEmpty();
  await page.keyboard.press("Escape");
  await expect(page.getByTestId("announcement")).toHaveText(/^Stopped\. A candle gives light/);
  await say(page, "Why does a candle burn?");
  await expect(page.getByTestId("announcement")).toHaveText(/^A candle gives light .* glows\.$/);
});

test("everything can be reached with the keyboard alone", async ({ page }) => {
  await open(page);
  await say(page, "With markdown");
  await expect(answer(page)).toHaveAttribute("data-status", "finished");
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const reached: string[] = [];
  // Twelve, and the way to the end where it is still there when its turn comes.
  for (let count = 0; count < 13; count += 1) {
    await page.keyboard.press("Tab");
    reached.push(
      await page.evaluate(() => {
        let element = document.activeElement;
        while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
        return element?.getAttribute("aria-label") ?? element?.textContent?.trim().split(/\s+/)[0] ?? "";
      }),
    );
  }
  expect(reached).toEqual(
    expect.arrayContaining([
      "New conversation",
      "Settings",
      "Conversation",
      "Copy",
      "Table",
      "Regenerate",
      "Message",
    ]),
  );
});

async function open(page: Page): Promise<void> {
  await page.goto("/");
  await page.getByTestId("examples").waitFor();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send").click();
}

/** What the page complains of, collected as it goes. */
function watch(page: Page): string[] {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  return problems;
}
