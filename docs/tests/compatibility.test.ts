/** COMPATIBILITY.md names the fields that there are, as `js/src/validate.ts` has them. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { RULES } from "../../js/src/validate.js";
import { ROOT } from "../snippets.js";

const text = readFileSync(`${ROOT}/COMPATIBILITY.md`, "utf8");

/** The rows of the table that comes after `line`: the names in the first cell, and the last cell. */
function rows(line: string): { names: string[]; here: string }[] {
  const [, after] = text.split(`${line}\n\n`);
  const [table] = after!.split("\n\n");
  return table!
    .split("\n")
    .slice(2)
    .map((row) => {
      const cells = row.split("|").slice(1, -1);
      return { names: cells[0]!.match(/(?<=`)[^`, ]+(?=`)/g) ?? [], here: cells.at(-1)!.trim() };
    });
}

const chat = Object.keys(RULES["a chat completion"]);
const raw = Object.keys(RULES["a completion"]);

test("the fields of requests are those that are taken", () => {
  const fields = rows("`chat.completions.create` and `completions.create`:");
  const where = (name: string) =>
    raw.includes(name) ? (chat.includes(name) ? "" : "completions: ") : "chat: ";
  const named = fields.flatMap(({ names, here }) =>
    names.map((name) => [name, /^(chat: |completions: |)/.exec(here)![0]]),
  );
  const taken = [...new Set([...chat, ...raw])].map((name) => [name, where(name)]);
  expect(named.toSorted()).toEqual(taken.toSorted());
});
