import { capabilities } from "tallow";
import { Answer } from "./answer.js";

// A server component: what is imported here is Node's part of the package.
export default function Page() {
  return (
    <main data-processors={capabilities().hardwareConcurrency}>
      <Answer />
    </main>
  );
}
