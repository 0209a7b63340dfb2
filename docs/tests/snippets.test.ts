/** Every snippet of JavaScript and TypeScript compiles against the package's types, as `js/dist` has them. */

import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { fences, ROOT, snippets } from "../snippets.js";

const FOLDER = `${ROOT}/docs/.snippets`;

const checked = snippets().filter(({ language }) => language === "js" || language === "ts");
const named = checked.map((snippet) => ({
  ...snippet,
  where: `${snippet.file}:${snippet.line}`,
  name: `${snippet.file.replaceAll(/[/.]/g, "-")}-${snippet.line}.${snippet.language}`,
}));

/** What a snippet may use that another one, or the text, has introduced. */
const CONTEXT = `
import type * as tallow from "tallow";
declare global {
  const model: tallow.Model;
  const messages: tallow.ChatCompletionMessageParam[];
  const source: tallow.ModelSource;
  const url: string;
  const text: string;
  const file: File;
  function show(text: string): void;

  // A service worker's, which the types of a page do not have.
  interface FetchEvent extends Event {
    readonly request: Request;
    respondWith(response: Response | Promise<Response>): void;
  }
  function addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}
`;

/** What of esbuild is used; tests/packaging runs it. */
const ESBUILD = `
declare module "esbuild" {
  export function build(options: {
    entryPoints: Record<string, string>;
    loader: Record<string, "copy">;
    bundle: boolean;
    format: "esm";
    outdir: string;
  }): Promise<unknown>;
}
`;

const CONFIG = {
  compilerOptions: {
    target: "ES2022",
    module: "ESNext",
    moduleResolution: "bundler",
    lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    types: [],
    strict: true,
    // The snippets are JavaScript.
    noImplicitAny: false,
    strictNullChecks: false,
    useUnknownInCatchVariables: false,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: true,
  },
  include: ["*.ts", "*.js"],
};

/** What the compiler says, by snippet. Lines are the Markdown file's: each snippet is moved down to where it stands. */
async function compile(): Promise<string> {
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  await writeFile(`${FOLDER}/tsconfig.json`, JSON.stringify(CONFIG));
  await writeFile(`${FOLDER}/context.ts`, CONTEXT);
  await writeFile(`${FOLDER}/esbuild.d.ts`, ESBUILD);
  for (const { name, line, code } of named)
    await writeFile(`${FOLDER}/${name}`, `${"\n".repeat(line - 1)}${code}export {};\n`);
  return new Promise((resolve) =>
    execFile(`${ROOT}/node_modules/.bin/tsc`, ["-p", FOLDER, "--pretty", "false"], (_, out) => resolve(out)),
  );
}

describe("the snippets compile", () => {
  let output: string[];
  beforeAll(async () => {
    output = (await compile()).split("\n").filter(Boolean);
  }, 60_000);

  test("all that the compiler says is about one of them", () => {
    const known = named.map(({ name }) => name);
    const others = output.filter(
      (line) => !line.startsWith(" ") && !known.some((name) => line.includes(name)),
    );
    expect(others).toEqual([]);
  });

  test.each(named)("$where", ({ name }) => {
    expect(output.filter((line) => line.includes(name))).toEqual([]);
  });
});

describe("fences", () => {
  test("are read with their lines and marks", () => {
    const text = "a\n```js run\nb\n```\n- c\n  ```sh\n  d\n\n  e\n  ```\n";
    expect(fences("x.md", text)).toEqual([
      { file: "x.md", line: 3, language: "js", marks: ["run"], code: "b\n" },
      { file: "x.md", line: 7, language: "sh", marks: [], code: "d\n\ne\n" },
    ]);
  });

  test.each([
    ["```\na\n```\n", /^x.md:1: a fence should be one of js, /],
    ["```jss\na\n```\n", /got "jss"$/],
    ["```js\na\n", /^x.md:2: a fence is not closed$/],
  ])("are refused: %j", (text, message) => {
    expect(() => fences("x.md", text)).toThrowError(message);
  });
});
