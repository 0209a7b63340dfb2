import { describe, expect, test } from "vitest";
import { defaultSettings, loadSettings, maxSeed, parseSettings, saveSettings } from "../src/settings.js";

const mine = { temperature: 0, top_k: 0, top_p: 1, max_tokens: 16, seed: 7, system: "Answer in rhyme." };

test("what was saved is loaded", () => {
  const storage = memoryStorage();
  saveSettings(mine, () => storage);
  expect(loadSettings(() => storage)).toEqual(mine);
});

describe("the default stands in for", () => {
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a string", "temperature"],
    ["an array", [0.5]],
  ])("%s", (_, value) => expect(parseSettings(value)).toEqual(defaultSettings));

  test.each([
    ["a number as text", "temperature", "0.7"],
    ["NaN", "temperature", NaN],
    ["infinity", "top_p", Infinity],
    ["a number below the least", "temperature", -0.1],
    ["a number above the most", "temperature", 2.1],
    ["part of a token", "max_tokens", 20.5],
    ["part of a rank", "top_k", 1.5],
    ["a negative seed", "seed", -1],
    ["a seed that is too large", "seed", maxSeed + 1],
    ["a system prompt that is no text", "system", 5],
    ["a system prompt that is too long", "system", "x".repeat(4001)],
  ])("%s, and the other fields stay", (_, key, value) => {
    const settings = parseSettings({ ...mine, [key]: value });
    expect(settings).toEqual({ ...mine, [key]: defaultSettings[key as keyof typeof defaultSettings] });
  });

  test("text that is no JSON", () => {
    const storage = memoryStorage();
    storage.setItem("tallow.settings", "{");
    expect(loadSettings(() => storage)).toEqual(defaultSettings);
  });
});

test("unknown fields are left out", () => {
  expect(parseSettings({ ...mine, __proto__: { seed: 1 }, other: 1 })).toEqual(mine);
});

test("storage that is forbidden does no harm", () => {
  const forbidden = () => {
    throw new DOMException("denied", "SecurityError");
  };
  expect(loadSettings(forbidden)).toEqual(defaultSettings);
  expect(() => saveSettings(mine, forbidden)).not.toThrow();
});

function memoryStorage(): Storage {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
  };
  return storage as Storage;
}
