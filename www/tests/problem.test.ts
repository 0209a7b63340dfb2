import { TALLOW_ERROR_CODES, TallowError } from "tallow";
import { expect, onTestFinished, test } from "vitest";
import { describeProblem, isAbort } from "../src/problem.js";
import { browser } from "./fake-tallow.js";

test.each(TALLOW_ERROR_CODES)("%s has words of its own", (code) => {
  const problem = describeProblem(new TallowError(code, "`thing`: expected this, got that"));
  expect(problem).toMatchObject({ code, detail: "`thing`: expected this, got that" });
  expect(problem.title).not.toContain(code);
  expect(problem.advice).toMatch(/\.$/);
});

test("a policy that forbids WebAssembly is not the browser's fault", () => {
  onTestFinished(() => void Object.assign(browser, { module: "relaxed", atomics: true }));
  const advice = () => describeProblem(new TallowError("unsupported_browser", "detail")).advice;
  Object.assign(browser, { module: null });
  expect(advice()).toMatch(/Content Security Policy/);
  Object.assign(browser, { atomics: false });
  expect(advice()).toMatch(/A current Chrome, Edge or Firefox has it/);
});

test("whatever else is thrown is a fault of the page's own", () => {
  expect(describeProblem(new RangeError("out of range"))).toMatchObject({
    code: "internal",
    detail: "out of range",
  });
  expect(describeProblem("text")).toMatchObject({ code: "internal", detail: "text" });
});

test("an abort is known by its name", () => {
  expect(isAbort(new DOMException("", "AbortError"))).toBe(true);
  expect(isAbort(new TallowError("internal", ""))).toBe(false);
  expect(isAbort("AbortError")).toBe(false);
});
