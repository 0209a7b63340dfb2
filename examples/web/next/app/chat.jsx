// Rendered on the server as well, where importing the package does nothing: the model is loaded in an effect.
"use client";

import { useEffect, useRef, useState } from "react";
import { loadModel } from "tallow";

export function Chat({ source }) {
  const [model, setModel] = useState(null);
  const [status, setStatus] = useState("Loading");
  const [answer, setAnswer] = useState("");
  const asked = useRef(undefined);

  useEffect(() => {
    const gone = new AbortController();
    const loading = loadModel(source, { signal: gone.signal }).then(
      (model) => {
        setModel(model);
        setStatus("Ready");
        return model;
      },
      (error) => gone.signal.aborted || setStatus(error.message),
    );
    return () => {
      gone.abort();
      loading.then((model) => model?.dispose?.());
    };
  }, [source]);

  async function ask(form) {
    asked.current?.abort();
    const { signal } = (asked.current = new AbortController());
    setStatus("Answering");
    setAnswer("");
    try {
      const stream = await model.chat.completions.create(
        { messages: [{ role: "user", content: form.get("question") }], stream: true, max_tokens: 100 },
        { signal },
      );
      for await (const chunk of stream) {
        const text = chunk.choices[0]?.delta.content ?? "";
        setAnswer((answer) => answer + text);
      }
      setStatus("Ready");
    } catch (error) {
      // A new question has its own words to say.
      if (!signal.aborted) setStatus(error.message);
    }
  }

  return (
    <main>
      <p role="status">{status}</p>
      <form action={ask}>
        <label>
          Question <input name="question" required />
        </label>
        <button disabled={!model}>Ask</button>
      </form>
      <output>{answer}</output>
    </main>
  );
}
