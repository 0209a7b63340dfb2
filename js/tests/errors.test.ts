import { expect, test } from "vitest";
import rust from "../../src/error.rs?raw";
import { TALLOW_ERROR_CODES, TallowError } from "../src/index.js";
import { fromWire, toWire } from "../src/protocol.js";
import { wasmError } from "./fake.js";

test("the codes are those of Rust's ErrorKind, in its order", () => {
  const code = rust.slice(rust.indexOf("pub const fn code"), rust.indexOf("impl fmt::Display for ErrorKind"));
  const codes = Array.from(code.matchAll(/Self::\w+ => "(\w+)"/g), (match) => match[1]);
  expect(codes.length).toBeGreaterThan(3);
  expect(TALLOW_ERROR_CODES).toEqual(codes);
});

test("an error keeps class, code, message and cause across the border", () => {
  const error = new TallowError("download_failed", "`x` broke off", { cause: new TypeError("reset") });
  const crossed = fromWire(structuredClone(toWire(error)));
  expect(crossed).toBeInstanceOf(TallowError);
  expect(crossed).toMatchObject({ name: "TallowError", code: "download_failed", message: "`x` broke off" });
  expect(crossed.cause).toMatchObject({ name: "TypeError", message: "reset" });
});

test.each([
  ["an error of the wasm side", wasmError("template_error", "no"), { code: "template_error", message: "no" }],
  [
    "a trap",
    new WebAssembly.RuntimeError("unreachable"),
    { code: "internal", message: "the engine stopped: RuntimeError: unreachable" },
  ],
  ["a thrown string", "boom", { code: "internal", message: "the engine stopped: boom" }],
  ["a code that is not ours", Object.assign(new Error("no"), { code: "ENOENT" }), { code: "internal" }],
])("%s crosses as one with a code", (_, error, expected) => {
  expect(fromWire(structuredClone(toWire(error)))).toMatchObject(expected);
});
