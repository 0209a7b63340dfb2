/**
 * What the user may set, and how it is kept. The table `numberFields` is the one place for names, bounds and
 * defaults: the panel draws it and `parseSettings` checks against it. The keys are those of a request's body.
 */

export interface Settings {
  temperature: number;
  top_k: number;
  top_p: number;
  max_tokens: number;
  /** `null` draws a new seed for each answer. */
  seed: number | null;
  /** Empty leaves the model's template to say its own. */
  system: string;
}

export interface NumberField {
  key: "temperature" | "top_k" | "top_p" | "max_tokens";
  label: string;
  hint: string;
  initial: number;
  min: number;
  max: number;
  step: number;
}

/** The defaults are near what SmolLM2's authors give for its instruct models: temperature 0.2, top-p 0.9. */
export const numberFields: readonly NumberField[] = [
  {
    key: "temperature",
    label: "Temperature",
    hint: "0 always takes the likeliest token",
    initial: 0.2,
    min: 0,
    max: 2,
    step: 0.05,
  },
  {
    key: "top_k",
    label: "Top-k",
    hint: "draw among the k likeliest tokens; 0 among all",
    initial: 40,
    min: 0,
    max: 200,
    step: 1,
  },
  {
    key: "top_p",
    label: "Top-p",
    hint: "draw among the tokens that hold this much probability",
    initial: 0.9,
    min: 0.05,
    max: 1,
    step: 0.05,
  },
  {
    key: "max_tokens",
    label: "Max tokens",
    hint: "where an answer is cut off",
    initial: 512,
    min: 16,
    max: 4096,
    step: 16,
  },
];

export const maxSeed = 2 ** 32 - 1;
export const maxSystemLength = 4000;

export const defaultSettings: Readonly<Settings> = {
  temperature: initial("temperature"),
  top_k: initial("top_k"),
  top_p: initial("top_p"),
  max_tokens: initial("max_tokens"),
  seed: null,
  system: "",
};

/** Settings out of anything: a field that is missing or out of bounds gets its default, the others stay. */
export function parseSettings(value: unknown): Settings {
  const settings = { ...defaultSettings };
  if (typeof value !== "object" || value === null) return settings;
  const given = value as Record<string, unknown>;
  for (const field of numberFields) {
    const number = given[field.key];
    if (isNumberOf(field, number)) settings[field.key] = number;
  }
  if (isSeed(given.seed)) settings.seed = given.seed;
  if (typeof given.system === "string" && given.system.length <= maxSystemLength)
    settings.system = given.system;
  return settings;
}

/** Whether `value` is one that `field` takes. A whole step means a whole number. */
export function isNumberOf(field: NumberField, value: unknown): value is number {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  return value >= field.min && value <= field.max && (field.step < 1 || Number.isInteger(value));
}

/** Whether `value` is a seed that a request can carry. */
export function isSeed(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maxSeed;
}

const storageKey = "tallow.settings";

export function loadSettings(storage: () => Storage = () => localStorage): Settings {
  try {
    return parseSettings(JSON.parse(storage().getItem(storageKey) ?? "null"));
  } catch {
    return { ...defaultSettings }; // Storage is forbidden here, or holds something that is no JSON.
  }
}

/** Keeps `settings` for the next visit. Where storage is forbidden or full they last as long as the page. */
export function saveSettings(settings: Settings, storage: () => Storage = () => localStorage): void {
  try {
    storage().setItem(storageKey, JSON.stringify(settings));
  } catch {
    return;
  }
}

function initial(key: NumberField["key"]): number {
  const field = numberFields.find((candidate) => candidate.key === key);
  if (!field) throw new Error(`no field \`${key}\``);
  return field.initial;
}
