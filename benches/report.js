/** What the races show, in Markdown: medians over the rounds, of speeds and of ratios between neighbours in time. */

import { TOKENS } from "./kernels.js";
import { label, N_DECODE } from "./race.js";

/**
 * @typedef {import("./contestants.js").Contestant} Contestant
 * @typedef {import("./race.js").Race} Race
 * @typedef {import("./race.js").Run} Run
 */

/**
 * @param {{
 *   about: Record<string, string>,
 *   prompts: number[],
 *   contestants: Contestant[],
 *   notes: string[],
 *   kernels: Record<import("./kernels.js").Loops, import("./kernels.js").Speeds>,
 *   races: Race[],
 * }} results
 */
export function report({ about, prompts, contestants, notes, kernels, races }) {
  const facts = Object.entries(about).map(([key, value]) => `- ${key}: ${value}`);
  const sections = races.map((race) => section(race, prompts, contestants));
  return `${["# Benchmark", facts.join("\n"), kernelSection(kernels), ...sections, list("Left out", notes)].filter(Boolean).join("\n\n")}\n`;
}

/** What the loops do with a matrix that the second-level cache holds, and what llama.cpp's does with one type of it. */
function kernelSection({ relaxed, simd128, ggml }) {
  const head = [
    "type",
    ...TOKENS.flatMap((n) => [`relaxed, ${n} tok`, "of llama.cpp's", `simd128, ${n} tok`]),
  ];
  const one = ggml.Q4_0[1];
  const rows = Object.keys(relaxed).map((type) => [
    type,
    ...TOKENS.flatMap((n) => [
      shown(relaxed[type][n]),
      times(relaxed[type][n] / one),
      shown(simd128[type][n]),
    ]),
  ]);
  return [
    "## Kernels",
    `10^9 multiply-adds a second, one thread; relaxed also as a multiple of what llama.cpp's loop for Q4_0 makes here, ` +
      `which takes one token at a time: ${shown(one)}.`,
    table(head, rows),
  ].join("\n\n");
}

/** @type {(race: Race, prompts: number[], contestants: Contestant[]) => string} */
function section(race, prompts, contestants) {
  const bandwidth = (threads) => {
    const readings = race.rounds.flatMap((round) => round.bandwidth[threads]);
    const [least, most] = [Math.min, Math.max].map((of) => (of(...readings) / 1e9).toFixed(1));
    return `${least} to ${most} GB/s on ${threads}`;
  };
  const about =
    `${(race.weightBytes / 1e6).toFixed(0)} MB of weights a token; before and after a round the machine read ` +
    `${bandwidth(1)} thread, ${bandwidth(2)}.`;
  return [
    `## ${race.title}`,
    about,
    memory(race, contestants),
    table(SPEEDS, speeds(race, prompts, contestants)),
    table(OWN, ownRatios(race, prompts, contestants)),
    list("Left out", race.leftOut),
    list("Failed", race.failed),
  ]
    .filter(Boolean)
    .join("\n\n");
}

/** What Tallow's memory holds when a model is loaded, before the first token. */
function memory(race, contestants) {
  const taken = contestants.flatMap((contestant) => {
    const bytes = medianOf(race, ({ runs }) => Object.values(runs[contestant.name] ?? {})[0]?.memory);
    return Number.isFinite(bytes)
      ? `${label(contestant)}: ${(bytes / 1e6).toFixed(0)} MB, ${percent(bytes / race.fileBytes)} of the file`
      : [];
  });
  return list(`Memory after loading ${(race.fileBytes / 1e6).toFixed(0)} MB`, taken);
}

const SPEEDS = [
  "contestant",
  "tokens",
  "prompt tok/s",
  "decode tok/s",
  "prompt / wllama",
  "decode / wllama",
  "prompt / stock",
  "decode / stock",
  "decode, of bound",
];

/**
 * A row for each length of the prompt and contestant; those of which nothing was measured are left out.
 * @type {(race: Race, prompts: number[], contestants: Contestant[]) => string[][]}
 */
function speeds(race, prompts, contestants) {
  const rows = prompts.flatMap((n_prompt) =>
    contestants.map((contestant) => {
      const { name, engine, threads } = contestant;
      const own = (rate) => shown(medianOf(race, ({ runs }) => rate(runs[name]?.[n_prompt])));
      const over = (rate, other) =>
        engine === "tallow" ? times(ratio(race, rate, [name, n_prompt], [other, n_prompt])) : "";
      const ofBound = medianOf(
        race,
        ({ runs, bandwidth }) =>
          (decodeRate(runs[name]?.[n_prompt]) * race.weightBytes) / Math.max(...bandwidth[threads]),
      );
      return [
        label(contestant),
        `${n_prompt}`,
        own(promptRate),
        own(decodeRate),
        over(promptRate, `wllama-${threads}`),
        over(decodeRate, `wllama-${threads}`),
        over(promptRate, "stock-1"),
        over(decodeRate, "stock-1"),
        percent(ofBound),
      ];
    }),
  );
  return rows.filter(([, , prompt]) => prompt);
}

const OWN = ["Tallow against itself", "tokens", "prompt", "decode"];

/** What is compared with what, at the same depth. */
const PAIRS = [
  ["relaxed: 2 threads / 1", "relaxed-2", "relaxed-1"],
  ["simd128: 2 threads / 1", "simd128-2", "simd128-1"],
  ["1 thread: simd128 / relaxed", "simd128-1", "relaxed-1"],
  ["2 threads: simd128 / relaxed", "simd128-2", "relaxed-2"],
];

/**
 * What threads, relaxed SIMD and an empty cache are worth; rows of which nothing was measured are left out.
 * @type {(race: Race, prompts: number[], contestants: Contestant[]) => string[][]}
 */
function ownRatios(race, prompts, contestants) {
  const [shortest, ...longer] = prompts;
  const pairs = prompts.flatMap((n_prompt) =>
    PAIRS.map(([title, above, below]) => [
      title,
      `${n_prompt}`,
      times(ratio(race, promptRate, [above, n_prompt], [below, n_prompt])),
      times(ratio(race, decodeRate, [above, n_prompt], [below, n_prompt])),
    ]),
  );
  const depths = longer.flatMap((n_prompt) =>
    contestants
      .filter(({ engine }) => engine === "tallow")
      .map((contestant) => [
        `${label(contestant)}: at ${n_prompt} / at ${shortest}`,
        `${n_prompt}`,
        "",
        times(ratio(race, decodeRate, [contestant.name, n_prompt], [contestant.name, shortest])),
      ]),
  );
  return [...pairs, ...depths].filter(([, , , decode]) => decode);
}

/** Tokens per second. @param {Run | undefined} run */
const promptRate = (run) => (run ? (1000 * run.timings.prompt_n) / run.timings.prompt_ms : NaN);
/** @param {Run | undefined} run */
const decodeRate = (run) => (run ? (1000 * N_DECODE) / run.timings.predicted_ms : NaN);

/** Neighbours in time are compared: a processor that slows down for a while does so for both. */
function ratio(race, rate, [name, n_prompt], [otherName, otherPrompt]) {
  return medianOf(race, ({ runs }) => rate(runs[name]?.[n_prompt]) / rate(runs[otherName]?.[otherPrompt]));
}

/** The median over the rounds in which there is a value, else NaN. */
function medianOf(race, value) {
  return median(race.rounds.map(value).filter(Number.isFinite));
}

/** @param {number[]} values */
function median(values) {
  if (values.length === 0) return NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What could not be computed is left empty. */
const shown = (value, digits = 1, unit = "") =>
  Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : "";
const times = (value) => shown(value, 2, " x");
const percent = (value) => shown(100 * value, 0, " %");

/** A table that also reads well unrendered; nothing if it has no rows. */
function table(head, rows) {
  if (rows.length === 0) return "";
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (cells) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** @type {(title: string, items: string[]) => string} */
function list(title, items) {
  return items.length === 0 ? "" : `${title}:\n\n${items.map((item) => `- ${item}`).join("\n")}`;
}
