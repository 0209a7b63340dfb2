import { describe, expect, test } from "vitest";
import { constraintOf } from "../src/constraint.js";
import type { ChatCompletionCreateParams, GenerationParams } from "../src/index.js";
import { chatRequest } from "../src/request.js";

const schema = { type: "object", properties: { a: { type: "integer" } } };

describe("what an answer has to be", () => {
  test.each<[string, GenerationParams, unknown]>([
    ["nothing", {}, undefined],
    ["a text", { response_format: { type: "text" } }, undefined],
    ["an object", { response_format: { type: "json_object" } }, "json_object"],
    [
      "a schema",
      { response_format: { type: "json_schema", json_schema: { name: "a", schema, strict: true } } },
      { json_schema: JSON.stringify(schema) },
    ],
    [
      "a schema of anything",
      { response_format: { type: "json_schema", json_schema: { name: "a" } } },
      { json_schema: "{}" },
    ],
    ["a grammar", { grammar: 'root ::= "a"' }, { grammar: 'root ::= "a"' }],
    ["Lark", { grammar: { syntax: "lark", definition: 'start: "a"' } }, { lark: 'start: "a"' }],
    ["GBNF", { grammar: { syntax: "gbnf", definition: 'root ::= "a"' } }, { gbnf: 'root ::= "a"' }],
    ["a regex", { regex: "a+" }, { regex: "a+" }],
    ["a regex beside a text", { regex: "a+", response_format: { type: "text" } }, { regex: "a+" }],
  ])("%s", (_, body, constraint) => {
    expect(constraintOf(body)).toEqual(constraint);
  });

  const json = { type: "json_object" };
  test.each<[object, string]>([
    [{ grammar: "a", regex: "b" }, "`grammar` and `regex` each say what the answer has to be"],
    [
      { response_format: json, regex: "b" },
      "`response_format` and `regex` each say what the answer has to be",
    ],
    [{ response_format: "json" }, "`response_format` should be an object"],
    [{ response_format: {} }, "`response_format.type` should be"],
    [{ response_format: { type: "xml" } }, "`response_format.type` should be"],
    [{ response_format: { type: "json_schema" } }, "`response_format.json_schema` should be an object"],
    [{ response_format: { type: "json_schema", json_schema: {} } }, "`response_format.json_schema.name`"],
    [
      { response_format: { type: "json_schema", json_schema: { name: "a b", schema } } },
      "`response_format.json_schema.name` should be up to 64 letters",
    ],
    [
      { response_format: { type: "json_schema", json_schema: { name: "a", schema: 7 } } },
      "`response_format.json_schema.schema` should be an object, got 7",
    ],
    [{ grammar: 7 }, "`grammar` should be a string or an object, got 7"],
    [{ grammar: { syntax: "ebnf", definition: "" } }, "`grammar.syntax` should be"],
    [{ grammar: { syntax: "lark" } }, "`grammar.definition` should be a string"],
    [{ regex: /a/ }, "`regex` should be a string"],
  ])("%j is refused", (fields, message) => {
    const body = { messages: [{ role: "user", content: "Hi" }], ...fields } as ChatCompletionCreateParams;
    expect(() => chatRequest(body)).toThrow(message);
  });
});
