/**
 * What users may pass, field by field. A field that no table names is refused rather than ignored; `null` and
 * `undefined` count as not given.
 */

import { TallowError } from "./errors.js";
import type { SamplerParams } from "./openai.js";

/** What a field should be, in words and as a test. */
interface Rule {
  expected: string;
  accepts(value: unknown): boolean;
  /** The fields of a field that is an object. */
  fields?: Rules;
  required?: true;
}

type Rules = Record<string, Rule>;

const boolean: Rule = { expected: "a boolean", accepts: (value) => typeof value === "boolean" };
const string: Rule = { expected: "a string", accepts: (value) => typeof value === "string" };
const url: Rule = {
  expected: "a URL or a string",
  accepts: (value) => typeof value === "string" || value instanceof URL,
};
const callback: Rule = { expected: "a function", accepts: (value) => typeof value === "function" };
const abortSignal: Rule = { expected: "an AbortSignal", accepts: (value) => value instanceof AbortSignal };

function number(low: number, high?: number): Rule {
  return {
    expected: high === undefined ? `a number of ${low} or more` : `a number in ${low}..=${high}`,
    accepts: (value) => typeof value === "number" && low <= value && value <= (high ?? Number.MAX_VALUE),
  };
}

/** The largest number of what wasm counts in 32 bits. */
const MAX_COUNT = 2 ** 32 - 1;

function integer(low: number, high = Number.MAX_SAFE_INTEGER): Rule {
  return {
    expected: `an integer in ${low}..=${high}`,
    accepts: (value) => Number.isSafeInteger(value) && Number(value) >= low && Number(value) <= high,
  };
}

/** `MAX_THREADS` in `src/threads/mod.rs`. */
const MAX_THREADS = 64;

const threads: Rule = {
  expected: `"auto" or an integer in 1..=${MAX_THREADS}`,
  accepts: (value) =>
    value === "auto" || (Number.isInteger(value) && 1 <= Number(value) && Number(value) <= MAX_THREADS),
};

const kvCacheType: Rule = {
  expected: '"f16", "f32" or "q8_0"',
  accepts: (value) => value === "f16" || value === "f32" || value === "q8_0",
};

const isSha256 = (value: unknown) => typeof value === "string" && /^[0-9a-f]{64}$/i.test(value);
const sha256: Rule = {
  expected: "64 hexadecimal digits, or an array of such",
  accepts: (value) => isSha256(value) || (Array.isArray(value) && value.every(isSha256)),
};

function arrayOf(what: string, accepts: (element: unknown) => boolean): Rule {
  return {
    expected: `an array of ${what}`,
    accepts: (value) => Array.isArray(value) && value.every(accepts),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isId = (id: unknown) => Number.isInteger(id) && Number(id) >= 0 && Number(id) <= MAX_COUNT;
const isIds = (value: unknown) => value instanceof Uint32Array || (Array.isArray(value) && value.every(isId));

const messages: Rule = {
  expected: "a non-empty array of objects with a `role`",
  accepts: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((message) => isObject(message) && typeof message["role"] === "string"),
  required: true,
};
const tools = arrayOf("objects", isObject);
const object: Rule = { expected: "an object", accepts: isObject };
const textOrIds: Rule = {
  expected: "a string or an array of token ids",
  accepts: (value) => typeof value === "string" || isIds(value),
  required: true,
};
const requestOptions: Rules = { signal: abortSignal };

/** Exactly one of `values`, where OpenAI has more. */
function only(...values: unknown[]): Rule {
  return { expected: values.map(shown).join(" or "), accepts: (value) => values.includes(value) };
}

const stop: Rule = {
  expected: "a non-empty string or an array of such",
  accepts: (value) =>
    (Array.isArray(value) ? value : [value]).every((text) => typeof text === "string" && text !== ""),
};

const logitBias: Rule = {
  expected: "an object with token ids as keys and numbers in -100..=100",
  accepts: (value) =>
    isObject(value) &&
    Object.entries(value).every(
      ([id, bias]) => /^\d{1,9}$/.test(id) && typeof bias === "number" && Math.abs(bias) <= 100,
    ),
};

const responseFormat: Rule = {
  ...object,
  fields: {
    type: { ...only("text", "json_object", "json_schema"), required: true },
    json_schema: {
      ...object,
      fields: {
        name: {
          expected: "up to 64 letters, digits, underscores and dashes",
          accepts: (value) => typeof value === "string" && /^[\w-]{1,64}$/.test(value),
          required: true,
        },
        description: string,
        schema: object,
        strict: boolean,
      },
    },
  },
};

const grammar: Rule = {
  expected: "a string or an object",
  accepts: (value) => typeof value === "string" || isObject(value),
  fields: {
    syntax: { ...only("lark", "gbnf"), required: true },
    definition: { ...string, required: true },
  },
};

const amount = number(0);
const count = integer(0, MAX_COUNT);
const probability = number(0, 1);
const penalty = number(-2, 2);
const lastTokens = integer(-1, 2 ** 31 - 1);

const sampler = {
  temperature: number(0, 2),
  dynatemp_range: amount,
  dynatemp_exponent: amount,
  top_k: count,
  top_p: probability,
  min_p: probability,
  typical_p: probability,
  top_n_sigma: amount,
  xtc_probability: probability,
  xtc_threshold: probability,
  min_keep: count,
  repeat_penalty: { expected: "a number above 0", accepts: (value) => amount.accepts(value) && value !== 0 },
  frequency_penalty: penalty,
  presence_penalty: penalty,
  repeat_last_n: lastTokens,
  dry_multiplier: amount,
  dry_base: number(1),
  dry_allowed_length: count,
  dry_penalty_last_n: lastTokens,
  dry_sequence_breakers: arrayOf("non-empty strings", (text) => typeof text === "string" && text !== ""),
  mirostat: only(0, 1, 2),
  mirostat_tau: amount,
  mirostat_eta: amount,
} satisfies { [Field in keyof SamplerParams]-?: Rule };

/** The names of {@link SamplerParams}. */
export const SAMPLER_FIELDS = Object.keys(sampler) as (keyof SamplerParams)[];

const generating: Rules = {
  ...sampler,
  model: string,
  max_tokens: integer(1, MAX_COUNT),
  n: integer(1, 128),
  response_format: responseFormat,
  grammar,
  regex: string,
  stop,
  logit_bias: logitBias,
  seed: integer(0),
  ignore_eos: boolean,
  cache_prompt: boolean,
  context: {
    expected: '"error" or "shift"',
    accepts: (value) => value === "error" || value === "shift",
  },
  n_keep: integer(-1, MAX_COUNT),
  stream: boolean,
  stream_options: { ...object, fields: { include_usage: boolean, include_obfuscation: only(false) } },
  user: string,
};

const topLogprobs = integer(0, 20);

/** The tables, by what they are for. */
export const RULES = {
  "a chat completion": {
    ...generating,
    messages,
    tools,
    tool_choice: only("auto", "none"),
    max_completion_tokens: integer(1, MAX_COUNT),
    logprobs: boolean,
    top_logprobs: topLogprobs,
    template: string,
    chat_template_kwargs: object,
    metadata: object,
    prompt_cache_key: string,
    safety_identifier: string,
    service_tier: only("auto", "default"),
    store: only(false),
    modalities: arrayOf('"text"', (modality) => modality === "text"),
  },
  "a completion": {
    ...generating,
    prompt: textOrIds,
    logprobs: topLogprobs,
    best_of: integer(1),
    echo: only(false),
    suffix: only(""),
  },
  "the options of a request": requestOptions,
  "`loadModel`'s options": {
    onProgress: callback,
    onWarning: callback,
    signal: abortSignal,
    sha256,
    cache: boolean,
    contextLength: integer(1, MAX_COUNT),
    kvCacheType,
    threads,
    wasmUrl: url,
    workerUrl: url,
  },
  "`inspect`'s options": {
    signal: abortSignal,
    contextLength: integer(1, MAX_COUNT),
    kvCacheType,
    wasmUrl: url,
    workerUrl: url,
  },
  "the options of `cache`": { workerUrl: url },
  "`tokenize`'s arguments": {
    ...requestOptions,
    text: { ...string, required: true },
    addSpecial: boolean,
    parseSpecial: boolean,
  },
  "`detokenize`'s arguments": {
    ...requestOptions,
    ids: {
      expected: "an array of token ids",
      accepts: isIds,
      required: true,
    },
  },
  "`score`'s arguments": {
    ...requestOptions,
    textOrIds,
    topLogprobs: integer(0, MAX_COUNT),
    window: integer(2, MAX_COUNT),
    stride: integer(1, MAX_COUNT),
    addSpecial: boolean,
    parseSpecial: boolean,
    onProgress: callback,
  },
  "`truncate`'s arguments": { length: { ...integer(0, MAX_COUNT), required: true } },
  "`applyChatTemplate`'s arguments": {
    ...requestOptions,
    messages,
    tools,
    addGenerationPrompt: boolean,
    template: string,
    variables: object,
  },
} satisfies Record<string, Rules>;

/** Fields that a message lists; more of them nobody reads. */
const MAX_LISTED = 12;

/** Throws `invalid_request` with the first thing about `value` that its table does not allow. */
export function check(what: keyof typeof RULES, value: unknown): void {
  if (!isObject(value)) throw invalid(`${what} should be an object, got ${shown(value)}`);
  checkFields(what, value, RULES[what], "");
}

/** As {@link check}, of a call's arguments, the last of which are options. */
export function checkCall(what: keyof typeof RULES, named: Record<string, unknown>, options: unknown): void {
  if (!isObject(options))
    throw invalid(`the options among ${what} should be an object, got ${shown(options)}`);
  check(what, { ...options, ...named });
}

function checkFields(what: string, value: Record<string, unknown>, rules: Rules, path: string): void {
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined || field === null) continue;
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (!rule) {
      const known = Object.keys(rules).map((known) => `\`${path}${known}\``);
      const listed = known.length > MAX_LISTED ? "" : `; what is: ${known.join(", ")}`;
      throw invalid(`\`${path}${name}\` is not supported in ${what}${listed}`);
    }
    if (!rule.accepts(field))
      throw invalid(`\`${path}${name}\` should be ${rule.expected}, got ${shown(field)}`);
    if (rule.fields && isObject(field)) checkFields(what, field, rule.fields, `${path}${name}.`);
  }
  for (const [name, { required, expected }] of Object.entries(rules)) {
    if (required && (value[name] ?? undefined) === undefined) {
      throw invalid(`\`${path}${name}\` should be ${expected}, got nothing`);
    }
  }
}

/** An `invalid_request`. */
export function invalid(message: string, options?: ErrorOptions): TallowError {
  return new TallowError("invalid_request", message, options);
}

/** A value as an error message shows it: short, and told apart from its neighbours. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "function") return "a function";
  if (isObject(value))
    return Object.getPrototypeOf(value) === Object.prototype ? "an object" : `a ${value.constructor?.name}`;
  return String(value);
}
