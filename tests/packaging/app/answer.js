// Answers the address's `prompt` with the default model. What came of it stands in the page's `output`, as JSON.

export async function answer(loadModel) {
  document.querySelector("output").textContent = JSON.stringify(
    await ask(loadModel).catch(({ code, message }) => ({ error: `${code}: ${message}` })),
  );
}

async function ask(loadModel) {
  const asked = new URLSearchParams(location.search);
  const model = await loadModel("/models/smollm2-135m-instruct-q4_1.gguf", { threads: 2 });
  const { choices, usage } = await model.completions.create({
    prompt: asked.get("prompt"),
    max_tokens: Number(asked.get("max_tokens")),
    temperature: 0,
  });
  const { threads, module } = model.info;
  await model.dispose();
  return { text: choices[0].text, tokens: usage.completion_tokens, threads, module };
}
