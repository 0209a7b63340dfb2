import { expect, test } from "vitest";
import {
  formatBytes,
  formatDuration,
  formatInteger,
  formatParameters,
  formatSpeed,
  formatTimeLeft,
  formatTokenRate,
  formatTokens,
  nameOfFile,
} from "../src/format.js";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1 kB"],
  [98_362_432, "98.4 MB"],
  [999_400_000, "999 MB"],
  [999_900_000, "1 GB"],
  [4_920_000_000, "4.92 GB"],
])("bytes: %d is %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [32, "32"],
  [134_515_008, "135 M"],
  [1_235_814_432, "1.24 B"],
])("parameters: %d is %s", (count, text) => expect(formatParameters(count)).toBe(text));

test.each([
  [0, "0 ms"],
  [180.4, "180 ms"],
  [999.4, "999 ms"],
  [999.6, "1.0 s"],
  [2_449, "2.4 s"],
  [9_960, "10 s"],
  [59_499, "59 s"],
  [60_000, "1 min"],
  [65_000, "1 min 5 s"],
])("duration: %d is %s", (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));

test.each([
  [0.2, "about 1 s left"],
  [3.6, "about 4 s left"],
  [59.4, "about 59 s left"],
  [59.6, "about 1 min left"],
  [200, "about 3 min left"],
])("time left: %d is %s", (seconds, text) => expect(formatTimeLeft(seconds)).toBe(text));

test("token rate needs tokens and time", () => {
  expect(formatTokenRate(0, 100)).toBeUndefined();
  expect(formatTokenRate(5, 0)).toBeUndefined();
  expect(formatTokenRate(50, 1210)).toBe("41.3 tokens/s");
});

test("one token, several tokens", () => {
  expect([0, 1, 2, 1200].map(formatTokens)).toEqual(["0 tokens", "1 token", "2 tokens", "1,200 tokens"]);
});

test("whole numbers and speeds", () => {
  expect(formatInteger(8192)).toBe("8,192");
  expect(formatSpeed(21_400_000)).toBe("21.4 MB/s");
});

test.each([
  ["http://localhost/models/smollm2-135m-instruct-q4_1.gguf?x=1#y", "smollm2-135m-instruct-q4_1"],
  ["my%20model.GGUF", "my model"],
  ["100%.gguf", "100%.gguf"],
  ["model.bin", "model.bin"],
  ["http://localhost/", "http://localhost/"],
])("name of %s is %s", (path, name) => expect(nameOfFile(path)).toBe(name));
