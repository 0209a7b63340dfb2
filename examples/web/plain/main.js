// A page without a bundler. Serve this folder with `tallow` installed in it (`npm install tallow`) and a model at
// `models/`.

import { loadModel } from "./node_modules/tallow/dist/index.js";

const status = document.querySelector("[role=status]");
const form = document.querySelector("form");
const output = document.querySelector("output");

const model = await loadModel("models/smollm2-135m-instruct-q4_1.gguf", {
  onProgress: ({ loaded, total }) => (status.textContent = `Loading: ${loaded} of ${total ?? "?"} bytes`),
}).catch((error) => {
  status.textContent = error.message;
  throw error;
});
status.textContent = "Ready";

let asked = new AbortController();
form.elements.stop.addEventListener("click", () => asked.abort());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  asked.abort();
  const { signal } = (asked = new AbortController());
  output.textContent = "";
  status.textContent = "Answering";
  const messages = [{ role: "user", content: new FormData(form).get("question") }];
  try {
    const stream = await model.chat.completions.create(
      { messages, stream: true, max_tokens: 100 },
      { signal },
    );
    for await (const chunk of stream) output.textContent += chunk.choices[0]?.delta.content ?? "";
    status.textContent = "Ready";
  } catch (error) {
    // A new question has its own words to say.
    if (!signal.aborted) status.textContent = error.message;
    else if (signal === asked.signal) status.textContent = "Stopped";
  }
});
