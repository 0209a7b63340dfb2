// node streams.js MODEL: a stream to its end, one that is aborted, one that is left, and a model that is ended in one.
import { loadModel } from "tallow";

const model = await loadModel(process.argv[2]);
const body = { prompt: "Once upon a time", temperature: 0, stream: true, ignore_eos: true };

let whole = "";
for await (const { choices } of await model.completions.create({ ...body, max_tokens: 12 }))
  whole += choices[0].text;

const controller = new AbortController();
const aborted = await (async () => {
  for await (const chunk of await model.completions.create(body, { signal: controller.signal }))
    if (chunk.choices[0].text) controller.abort();
})().catch(({ name }) => name);

let left = 0;
for await (const _ of await model.completions.create(body)) if (++left === 3) break;
const { choices } = await model.completions.create({ ...body, stream: false, max_tokens: 12 });

const lost = await (async () => {
  for await (const _ of await model.completions.create(body)) await model.dispose();
})().catch(({ code }) => code);
const unloaded = await loadModel(process.argv[2], {
  signal: controller.signal,
}).catch(({ name }) => name);

console.log(JSON.stringify({ whole, aborted, left, again: choices[0].text, lost, unloaded }));
