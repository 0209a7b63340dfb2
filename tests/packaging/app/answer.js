// What the default model answers to the address's `prompt`, or why it does not.

export async function answer(loadModel) {
  return ask(loadModel).catch(({ code, message }) => ({ error: `${code}: ${message}` }));
}

async function ask(loadModel) {
  const asked = new URLSearchParams(location.search);
  const model = await loadModel("/models/smollm2-135m-instruct-q4_1.gguf", { threads: 2 });
  const { choices, usage } = await model.completions.create({
    prompt: asked.get("prompt"),
    max_tokens: Number(asked.get("max_tokens")),
    temperature: 0,
  });
  const { logprobs } = await model.score(JSON.parse(asked.get("ids")));
  const { threads, module } = model.info;
  await model.dispose();
  return { text: choices[0].text, tokens: usage.completion_tokens, logprobs: [...logprobs], threads, module };
}
