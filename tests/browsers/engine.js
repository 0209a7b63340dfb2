// Runs the engine on each module and number of threads that the browser takes, stores a model and loads it again, and reports
// to the server what came of it: `engine.spec.ts`.
import * as tallow from "/tallow/index.js";

globalThis.tallow = tallow;

/** Answers to all of `prompts`, in as many tokens as each is to have. */
async function answers(model, prompts) {
  const texts = [];
  for (const { prompt, certain } of prompts) {
    const { choices } = await model.completions.create({
      prompt,
      temperature: 0,
      max_tokens: certain.length,
    });
    texts.push({ got: choices[0].text, expected: await model.detokenize(Uint32Array.from(certain)) });
  }
  return texts;
}

async function report() {
  const { url, prompts } = await (await fetch("plan.json")).json();
  const capabilities = tallow.capabilities();
  const runs = [];
  for (const module of capabilities.relaxedSimd ? ["relaxed", "simd128"] : ["simd128"])
    for (const threads of capabilities.threads > 1 ? [1, 2, "auto"] : [1, "auto"]) {
      const wasmUrl = `/tallow/wasm/${module}.wasm`;
      const model = await tallow.loadModel(url, { wasmUrl, threads, cache: false });
      const { info } = model;
      runs.push({
        module,
        threads,
        info: { module: info.module, threads: info.threads },
        texts: await answers(model, prompts),
      });
      await model.dispose();
    }

  // An automated WebKitGTK drops what is in the Cache API when nobody has it open any more.
  globalThis.held = await caches.open("tallow");
  const stored = [];
  for (let load = 0; load < 2; load++) {
    const warnings = [];
    const onWarning = ({ message }) => void warnings.push(message);
    const model = await tallow.loadModel(url, { onWarning });
    const texts = await answers(model, prompts.slice(0, 1));
    await model.dispose();
    const complete = (await tallow.cache.list()).map(({ complete }) => complete);
    stored.push({ warnings, texts, complete });
  }
  await tallow.cache.delete();
  return { capabilities, runs, stored, left: (await tallow.cache.list()).length };
}

const body = await report().catch((error) => ({ error: `${error}` }));
await fetch("report", { method: "POST", body: JSON.stringify(body) });
