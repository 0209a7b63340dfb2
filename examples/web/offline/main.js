// A page that works without a network from the second visit on. Serve this folder with `tallow` installed in it
// (`npm install tallow`) and a model at `models/`.

const status = document.querySelector("[role=status]");
const form = document.querySelector("form");
const output = document.querySelector("output");

// The service worker comes first: it keeps what it sees, so it is to see all that the model needs.
await startServiceWorker();

// Only now the package, which brings its workers and the wasm module that this browser runs. With a bundler this is
// `await import("tallow")`. The model itself is no matter of the service worker: `loadModel` keeps it.
const { loadModel } = await import("./node_modules/tallow/dist/index.js");
const model = await loadModel("models/smollm2-135m-instruct-q4_1.gguf", {
  onProgress: ({ loaded, total }) => (status.textContent = `Loading: ${loaded} of ${total ?? "?"} bytes`),
}).catch((error) => {
  status.textContent = error.message;
  throw error;
});
status.textContent = "Ready";

let asked = new AbortController();

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
  }
});

/** Resolves when the service worker keeps what the page fetches, or when it is clear that none will. */
async function startServiceWorker() {
  // At an insecure address there are none. The page then works as long as there is a network.
  if (!("serviceWorker" in navigator)) return;
  try {
    const { active, installing } = await navigator.serviceWorker.register("sw.js");
    // On a later visit there is nothing to wait for.
    if (active || !installing) return;
    await new Promise((resolve) => {
      installing.addEventListener("statechange", () => {
        if (installing.state === "activated" || installing.state === "redundant") resolve();
      });
    });
  } catch {
    // Some private windows refuse service workers.
  }
}
