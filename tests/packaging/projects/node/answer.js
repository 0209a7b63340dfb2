// node answer.js MODEL PROMPT MAX_TOKENS IDS [WASM]
import { loadModel } from "tallow";

const [, , path, prompt, max_tokens, ids, wasmUrl] = process.argv;
const model = await loadModel(path, { threads: 2, wasmUrl });
const { choices, usage } = await model.completions.create({
  prompt,
  max_tokens: Number(max_tokens),
  temperature: 0,
});
const { logprobs } = await model.score(JSON.parse(ids));
const { threads, module } = model.info;
console.log(
  JSON.stringify({
    text: choices[0].text,
    tokens: usage.completion_tokens,
    logprobs: [...logprobs],
    threads,
    module,
  }),
);
await model.dispose();
