import { Chat } from "./chat.jsx";

export default function Page() {
  return <Chat source="/models/smollm2-135m-instruct-q4_1.gguf" />;
}
