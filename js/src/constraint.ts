/** What an answer has to be: the fields that say so, as the wasm side takes them. */

import type { GenerationParams } from "./openai.js";
import { invalid } from "./validate.js";
import type { Constraint } from "./wasm-contract.js";

/** The constraint that `body` asks for. */
export function constraintOf(body: GenerationParams): Constraint | undefined {
  const { response_format, grammar, regex } = body;
  const format = response_format?.type === "text" ? undefined : response_format;
  const given = Object.entries({ response_format: format, grammar, regex }).filter(
    ([, value]) => value != null,
  );
  if (given.length > 1) {
    const named = given.map(([name]) => `\`${name}\``).join(" and ");
    throw invalid(`${named} each say what the answer has to be; one of them should be given`);
  }
  if (regex != null) return { regex };
  if (typeof grammar === "string") return { grammar };
  if (grammar) return { [grammar.syntax]: grammar.definition } as Constraint;
  if (!format) return;
  if (format.type === "json_object") return "json_object";
  if (!format.json_schema) throw invalid("`response_format.json_schema` should be an object, got nothing");
  try {
    return { json_schema: JSON.stringify(format.json_schema.schema ?? {}) };
  } catch (cause) {
    throw invalid("`response_format.json_schema.schema` should be JSON", { cause });
  }
}
