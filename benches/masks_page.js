/** What a constraint costs: tokens drawn with one and without, in turns, by the model that is loaded. */

const words = ["red", "green", "blue", "light", "dark", "warm", "cold", "deep", "pale", "soft"];
const colours = words.flatMap((a) => words.flatMap((b) => words.map((c) => `${a} ${b} ${c}`)));

const schema = (schema) => ({
  response_format: { type: "json_schema", json_schema: { name: "masks", schema } },
});
const list = (items) => ({ type: "array", items, minItems: 60 });

/** Each of them asks for more tokens than are drawn. */
const CONSTRAINTS = {
  "JSON schema": schema(
    list({
      type: "object",
      properties: {
        name: { type: "string", maxLength: 40 },
        born: { type: "string", format: "date" },
        height: { type: "number", minimum: 0, maximum: 3 },
        tags: { type: "array", items: { type: "string" }, maxItems: 5 },
        note: { anyOf: [{ type: "string" }, { type: "null" }] },
      },
      required: ["name", "born", "height", "tags"],
    }),
  ),
  "one long string": schema({
    type: "object",
    properties: { text: { type: "string", minLength: 2000 } },
    required: ["text"],
  }),
  "enum of 1000": schema(list({ enum: colours })),
  regex: { regex: "([A-Z][a-z]+( [a-z]{1,12}){3,9}[.!?] ?){60}" },
  Lark: {
    grammar: {
      syntax: "lark",
      definition: `
        start: (statement "\\n"){60}
        statement: NAME " = " sum
        sum: product ((" + " | " - ") product)*
        product: atom ((" * " | " / ") atom)*
        atom: NUMBER | NAME | "(" sum ")"
        NAME: /[a-z][a-z_0-9]{0,11}/
        NUMBER: /[0-9]{1,6}(\\.[0-9]{1,4})?/
      `,
    },
  },
};

/**
 * For each constraint: milliseconds until the first token of the first request, in which it is compiled, and of each round
 * the milliseconds that a token took without and with it.
 * @param {import("tallow").Model} model
 * @param {{ rounds: number, tokens: number }} options
 */
export async function masks(model, { rounds, tokens }) {
  const run = async (seed, fields) => {
    const start = performance.now();
    const { timings } = await model.completions.create({
      prompt: "Once upon a time, ",
      max_tokens: tokens,
      ignore_eos: true,
      seed,
      ...fields,
    });
    const { predicted_n, predicted_ms } = timings;
    if (predicted_n !== tokens)
      throw new Error(`${tokens} tokens should have been drawn, but were ${predicted_n}`);
    return { ms: predicted_ms / predicted_n, before: performance.now() - start - predicted_ms };
  };
  await run(0, {});
  const results = {};
  for (const [name, fields] of Object.entries(CONSTRAINTS)) {
    const result = { first: (await run(0, fields)).before, free: [], held: [] };
    for (let seed = 1; seed <= rounds; seed++) {
      result.free.push((await run(seed, {})).ms);
      result.held.push((await run(seed, fields)).ms);
    }
    results[name] = result;
  }
  return results;
}
