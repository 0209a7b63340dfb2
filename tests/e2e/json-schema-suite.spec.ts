/**
 * The JSON Schema project's own suite through the whole stack: every schema that Tallow takes, with the real model at
 * temperature 1, gives answers that parse and are valid by another's validator; every other one is refused with the place
 * in the schema. `../grammar/suite.json` says which are.
 */

import { expect, test, type Page } from "@playwright/test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { serve, type TestServer } from "./server.js";

declare global {
  var tallow: typeof Tallow;
  var model: Tallow.Model;
}

type Schema = Record<string, unknown>;
interface Case {
  name: string;
  schema: Schema;
}

const MODEL = "/models/smollm2-135m-instruct-q4_1.gguf";
const DRAFT = "https://json-schema.org/draft/2020-12/schema";

function json<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as T;
}

const taken: Case[] = [];
const refused: (Case & { pointer: string })[] = [];
for (const [file, expected] of Object.entries(
  json<Record<string, { refused: Record<string, string> }>>("../grammar/suite.json"),
)) {
  const groups = json<{ description: string; schema: Schema | boolean }[]>(
    `../golden/json-schema-suite/draft2020-12/${file}.json`,
  );
  for (const { description, schema } of groups) {
    // OpenAI's field is an object.
    if (typeof schema === "boolean") continue;
    const name = `${file}: ${description}`;
    const pointer = expected.refused[description];
    if (pointer === undefined) taken.push({ name, schema });
    else refused.push({ name, schema, pointer });
  }
}

/** ajv, which has not seen other schemas with the same `$id`. */
function validator({ $schema, ...schema }: Schema) {
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 6 });
  addFormats.default(ajv);
  // It knows no metaschemas of the suite's own; by the usual one more is asked for.
  return ajv.compile($schema === undefined ? schema : { $schema: DRAFT, ...schema });
}

let server: TestServer;
test.beforeAll(async () => {
  server = await serve();
});
test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openModel(page: Page) {
  test.setTimeout(600_000);
  await page.goto(`${server.url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
  await page.evaluate(async (model) => {
    globalThis.model = await tallow.loadModel(model);
  }, MODEL);
}

test("every answer to a schema of the suite is valid", async ({ page }) => {
  await openModel(page);
  const answers = await page.evaluate(async (cases) => {
    const answers = [];
    for (const { name, schema } of cases) {
      const response_format = { type: "json_schema" as const, json_schema: { name: "suite", schema } };
      const { choices } = await model.completions.create({
        prompt: 'Small values in JSON: 3, "a", {"b": 1}, [2], ',
        response_format,
        max_tokens: 32,
        n: 3,
        seed: 11,
      });
      for (const { text, finish_reason } of choices) answers.push({ name, text, finish_reason });
    }
    return answers;
  }, taken);

  const complete = answers.filter(({ finish_reason }) => finish_reason === "stop");
  const wrong = taken.flatMap(({ name, schema }) => {
    const validate = validator(schema);
    const texts = complete.filter((answer) => answer.name === name).map(({ text }) => text);
    return texts.filter((text) => !validate(JSON.parse(text))).map((text) => `${name}: ${text}`);
  });
  expect(wrong).toEqual([]);
  const answered = new Set(complete.map(({ name }) => name));
  console.log(
    `${answered.size} of ${taken.length} schemas, ${complete.length} of ${answers.length} answers complete`,
  );
  // The others are cut, which says nothing.
  expect(answered.size).toBeGreaterThan(0.8 * taken.length);
});

test("what Tallow can't keep to in the suite is refused with its place", async ({ page }) => {
  await openModel(page);
  const errors = await page.evaluate(async (cases) => {
    const errors = [];
    for (const { schema } of cases) {
      const response_format = { type: "json_schema" as const, json_schema: { name: "suite", schema } };
      const error = model.completions
        .create({ prompt: "A", response_format, max_tokens: 1 })
        .catch(({ code, message }: Tallow.TallowError) => ({ code, message }));
      errors.push(await error);
    }
    return errors;
  }, refused);
  for (const [index, { name, pointer }] of refused.entries()) {
    const error = errors[index];
    if (!error || !("message" in error)) throw new Error(`${name} is taken`);
    expect(error.code, name).toBe("grammar_error");
    expect(error.message, name).toContain(`at \`${pointer}\`:`);
  }
});
