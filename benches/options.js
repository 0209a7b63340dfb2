/** The benchmark's command line. */

import { parseArgs } from "node:util";
import { CONTESTANTS } from "./contestants.js";

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {string[]} args
 * @param {string[]} models the names of all models
 */
export function readOptions(args, models) {
  const contestants = CONTESTANTS.map(({ name }) => name);
  const { values } = parseArgs({
    args,
    options: {
      models: { type: "string", default: models.join() },
      kernels: { type: "boolean", default: false },
      contestants: { type: "string", default: contestants.join() },
      prompts: { type: "string", default: "32,512,2048" },
      rounds: { type: "string", default: "3" },
      limit: { type: "string", default: "120" },
      full: { type: "boolean", default: false },
      busy: { type: "string", default: "0" },
    },
  });
  return {
    /** Only the kernels are measured, no model. */
    models: values.kernels ? [] : names("models", values.models, models),
    contestants: names("contestants", values.contestants, contestants),
    /** Tokens of each prompt, ascending. */
    prompts: values.prompts
      .split(",")
      .map((text) => count("prompts", text))
      .sort((a, b) => a - b),
    rounds: count("rounds", values.rounds),
    /** The seconds that one prompt and what follows may take; a contestant that would need more leaves it out. */
    limit: values.full ? Infinity : count("limit", values.limit),
    /** Processes that keep a core busy each meanwhile. */
    busy: count("busy", values.busy, 0),
  };
}

/** @type {(option: string, text: string, known: string[]) => string[]} */
function names(option, text, known) {
  const names = text.split(",");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`--${option} should be of ${known.join(", ")}, but one is \`${unknown}\``);
  return known.filter((name) => names.includes(name));
}

/** @type {(option: string, text: string, least?: number) => number} */
function count(option, text, least = 1) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least)
    throw new Error(`--${option} should be a number of ${least} or more, got \`${text}\``);
  return number;
}
