/** The demo page in Firefox and WebKitGTK, with the real model. */

import { expect, test } from "@playwright/test";
import { goldenCases } from "../e2e/golden.js";
import { browsers, MODEL, reportOf } from "./undriven.js";

const QUESTION = "What is gravity?";

/** What `demo.js` reports. */
interface Report {
  answers: { status: string; text: string }[];
  expected: string;
}

for (const browser of browsers)
  test(`the page answers in ${browser.name}, and again after a reload, with the model that it has stored`, async () => {
    const certain = goldenCases.find(({ prompt }) => prompt.includes(QUESTION))?.certain ?? [];
    const plan = { url: MODEL, question: QUESTION, certain };
    const { report, asked } = await reportOf<Report>(browser, "demo.html", plan);
    const { error, answers, expected } = report;
    expect(error).toBeUndefined();
    expect(expected.length).toBeGreaterThan(20);
    expect(answers).toHaveLength(2);
    for (const { status, text } of answers) {
      expect(status).toBe("finished");
      expect(text).toContain(expected.trim());
    }
    expect(asked).toBe(1);
  });
