// node refusals.js MODEL: what there is not in Node, or is wrong.
import { cache, inspect, loadModel, TallowError } from "tallow";

const [, , path] = process.argv;
const attempts = {
  missing: () => loadModel("none.gguf"),
  folder: () => loadModel("."),
  mixed: () => loadModel([path, "http://127.0.0.1/b.gguf"]),
  otherHost: () => loadModel("file://models/a.gguf"),
  encodedSlash: () => inspect(new URL("file:///models%2Fa.gguf")),
  inspected: () => inspect("none.gguf"),
  workerUrl: () => loadModel(path, { workerUrl: "none.js" }),
  wasmUrl: () => loadModel(path, { wasmUrl: "none.wasm" }),
  list: () => cache.list(),
  delete: () => cache.delete(path),
  estimate: () => cache.estimate(),
  persist: () => cache.persist(),
};
const refusals = {};
for (const [name, attempt] of Object.entries(attempts)) {
  refusals[name] = await attempt().then(String, (error) =>
    error instanceof TallowError ? `${error.code}: ${error.message}` : `no TallowError: ${error}`,
  );
}

console.log(JSON.stringify(refusals));
