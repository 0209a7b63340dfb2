import { useRef, useState } from "react";
import { useModel } from "./use-model.js";

export function Chat({ source }) {
  const { model, progress, error } = useModel(source);
  const [messages, setMessages] = useState([]);
  const [busy, setBusy] = useState(false);
  const asked = useRef(undefined);

  async function ask(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const conversation = [...messages, { role: "user", content: new FormData(form).get("question") }];
    form.reset();
    setBusy(true);
    asked.current = new AbortController();
    let content = "";
    const show = () => setMessages([...conversation, { role: "assistant", content }]);
    show();
    try {
      const stream = await model.chat.completions.create(
        { messages: conversation, stream: true, max_tokens: 100 },
        { signal: asked.current.signal },
      );
      for await (const chunk of stream) {
        content += chunk.choices[0]?.delta.content ?? "";
        show();
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        content += `\n${error.message}`;
        show();
      }
    }
    setBusy(false);
  }

  if (error) return <p role="status">{error.message}</p>;
  if (!model) {
    return (
      <p role="status">
        Loading: {progress?.loaded ?? 0} of {progress?.total ?? "?"} bytes
      </p>
    );
  }
  return (
    <main>
      <p role="status">{busy ? "Answering" : "Ready"}</p>
      {messages.map(({ role, content }, i) => (
        <p key={i} className={role}>
          {content}
        </p>
      ))}
      <form onSubmit={ask}>
        <label>
          Question <input name="question" required />
        </label>
        <button disabled={busy}>Ask</button>
        <button type="button" disabled={!busy} onClick={() => asked.current?.abort()}>
          Stop
        </button>
      </form>
    </main>
  );
}
