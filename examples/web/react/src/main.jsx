import { createRoot } from "react-dom/client";
import { Chat } from "./chat.jsx";

createRoot(document.getElementById("root")).render(<Chat source="/models/smollm2-135m-instruct-q4_1.gguf" />);
