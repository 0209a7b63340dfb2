import { expect, test } from "vitest";
import { modelOf, parseModelUrl } from "../src/address.js";

test.each([
  ["http://localhost:8080/", "http://localhost:8080/models/smollm2-135m-instruct-q4_1.gguf"],
  ["https://a.example/demo/index.html?x", "https://a.example/demo/models/smollm2-135m-instruct-q4_1.gguf"],
  ["http://localhost/?model=models/other.gguf", "http://localhost/models/other.gguf"],
  ["http://localhost/?model=https://b.example/m.gguf", "https://b.example/m.gguf"],
  ["http://localhost/?model=javascript:alert(1)", "http://localhost/models/smollm2-135m-instruct-q4_1.gguf"],
])("%s asks for %s", (address, model) => expect(modelOf(new URL(address)).href).toBe(model));

test.each(["", "  ", "javascript:alert(1)", "data:text/plain,x", "file:///etc/passwd", "http://"])(
  "`%s` is no address of a model",
  (text) => expect(parseModelUrl(text, new URL("http://localhost/"))).toBeUndefined(),
);
