// Talks to the demo page in a frame as a user would, before a reload and after it, and reports to the server what it saw:
// `demo.spec.ts`.
import * as tallow from "/tallow/index.js";

globalThis.tallow = tallow;

const frame = document.querySelector("iframe");

/** All elements with this test id, also in shadow trees, in order. */
function all(id, root = frame.contentDocument) {
  return [...root.querySelectorAll("*")].flatMap((element) => [
    ...(element.dataset.testid === id ? [element] : []),
    ...(element.shadowRoot ? all(id, element.shadowRoot) : []),
  ]);
}

/** What `found` gives, once it gives something. A problem that the page tells of ends the wait. */
async function once(what, found) {
  for (let attempts = 600; attempts > 0; attempts--) {
    const [problem] = all("problem-detail");
    if (problem) throw new Error(`while waiting for ${what}: ${problem.textContent}`);
    const value = found();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`waited for ${what}; the status is ${all("status")[0]?.textContent}`);
}

/** The answer to `question`, by a page that has just been opened. */
async function talk(question) {
  await once("the model", () => all("status")[0]?.textContent.trim() === "Ready");
  const [composer] = all("composer");
  composer.value = question;
  composer.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
  (await once("the button", () => all("send").find(({ disabled }) => !disabled))).click();
  const answer = await once("an answer", () =>
    all("answer").find(({ dataset }) => dataset.status !== "streaming"),
  );
  const [markdown] = all("answer-text", answer.getRootNode());
  const paragraphs = [...markdown.shadowRoot.querySelectorAll("p")];
  return { status: answer.dataset.status, text: paragraphs.map(({ textContent }) => textContent).join("\n") };
}

async function report() {
  const { url, question, certain } = await (await fetch("plan.json")).json();
  // An automated WebKitGTK drops what is in the Cache API when nobody has it open any more.
  globalThis.held = await caches.open("tallow");
  localStorage.setItem("tallow.settings", JSON.stringify({ temperature: 0, max_tokens: 32 }));
  const answers = [];
  for (const open of [() => (frame.src = "/"), () => frame.contentWindow.location.reload()]) {
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
    open();
    await loaded;
    answers.push(await talk(question));
  }
  frame.remove();
  const model = await tallow.loadModel(url);
  const expected = await model.detokenize(Uint32Array.from(certain));
  await model.dispose();
  return { answers, expected };
}

const body = await report().catch((error) => ({ error: `${error}` }));
await fetch("report", { method: "POST", body: JSON.stringify(body) });
