/**
 * The code in the Markdown files, for the tests that check it: every fence of JavaScript or TypeScript. One that begins
 * with ```` ```js run ```` is run as well, in Chromium with the default model.
 */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A fence. */
export interface Snippet {
  /** The file, from the repository's root. */
  file: string;
  /** The line that the code begins in, from 1. */
  line: number;
  /** The word behind the three backticks. */
  language: string;
  /** The other words there. */
  marks: string[];
  code: string;
}

/** The repository's root. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

/** The languages that fences may have: a misspelt one would go unchecked. */
const LANGUAGES = ["js", "ts", "sh", "http", "json", "lark", "text"];

/** The files whose fences are checked. */
export const FILES: string[] = [
  "README.md",
  "COMPATIBILITY.md",
  "js/README.md",
  ...readdirSync(`${ROOT}/docs/guide`).map((name) => `docs/guide/${name}`),
];

/** The fences of all files. */
export function snippets(): Snippet[] {
  return FILES.flatMap((file) => fences(file, readFileSync(`${ROOT}/${file}`, "utf8")));
}

/** The fences of one file's text. */
export function fences(file: string, text: string): Snippet[] {
  const found: Snippet[] = [];
  let open: (Snippet & { indent: string; lines: string[] }) | undefined;
  for (const [i, line] of text.split("\n").entries()) {
    const [, indent = "", info] = /^( *)```(.*)$/.exec(line) ?? [];
    if (open && info === "") {
      const { indent, lines, ...snippet } = open;
      const cut = lines.map((line) => line.slice(indent.length));
      found.push({ ...snippet, code: `${cut.join("\n")}\n` });
      open = undefined;
    } else if (open) {
      open.lines.push(line);
    } else if (info !== undefined) {
      const [language = "", ...marks] = info.split(" ");
      if (!LANGUAGES.includes(language))
        throw new Error(
          `${file}:${i + 1}: a fence should be one of ${LANGUAGES.join(", ")}, got "${language}"`,
        );
      open = { file, line: i + 2, language, marks, code: "", indent, lines: [] };
    }
  }
  if (open) throw new Error(`${file}:${open.line}: a fence is not closed`);
  return found;
}
