/**
 * Races Tallow, wllama and stock Candle in one headless Chromium: `node benches/run.js STOCK [OPTION...]`, where
 * `STOCK` is the folder of stock Candle's glue. `build.sh bench` runs it; README.md has the options and what is
 * measured.
 */

import binaryen from "binaryen";
import { execFileSync, spawn } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { withBrowser } from "./browser.js";
import { CONTESTANTS } from "./contestants.js";
import { readOptions } from "./options.js";
import { label, race } from "./race.js";
import { report } from "./report.js";

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The bytes of `bandwidth.wat`'s module. */
async function assemble() {
  const module = binaryen.parseText(await readFile(here("bandwidth.wat"), "utf8"));
  module.setFeatures(binaryen.Features.All);
  return Array.from(module.emitBinary());
}

/** @type {() => string} */
function commit() {
  const git = (...args) => execFileSync("git", args, { cwd: here("."), encoding: "utf8" }).trim();
  return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") ? "-dirty" : "");
}

/**
 * Runs `use` while so many processes keep a core busy each.
 * @template T
 * @param {number} busy
 * @param {() => Promise<T>} use
 */
async function beside(busy, use) {
  const loops = Array.from({ length: busy }, () =>
    spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" }),
  );
  try {
    return await use();
  } finally {
    for (const loop of loops) loop.kill("SIGKILL");
  }
}

/** The default model and those that were made for this, in the order of the race. */
async function allModels() {
  const models = JSON.parse(await readFile(here("../models/bench/models.json"), "utf8"));
  return Promise.all(
    models.map(async (model, i) => {
      const file = i === 0 ? model.file : `bench/${model.file}`;
      return { ...model, file, fileBytes: (await stat(here(`../models/${file}`))).size };
    }),
  );
}

/** @param {string[]} args */
async function main([stockCandle, ...args]) {
  if (!stockCandle) throw new Error("the folder of stock Candle's glue is missing: run `./build.sh bench`");
  const models = await allModels();
  const options = readOptions(
    args,
    models.map(({ name }) => name),
  );
  const started = { date: new Date().toISOString(), commit: commit() };
  const load = () => loadavg()[0].toFixed(2);
  const loadBefore = load();

  const results = await withBrowser({ "/stock_candle/": stockCandle }, async (browser) => {
    const takesThreads = await browser.withPage((call) => call("takesThreads"));
    const chosen = CONTESTANTS.filter(({ name }) => options.contestants.includes(name));
    const contestants = chosen.filter(
      ({ engine, threads }) => takesThreads || engine !== "tallow" || threads === 1,
    );
    const notes = chosen
      .filter((contestant) => !contestants.includes(contestant))
      .map((contestant) => `${label(contestant)}: this build of Tallow has no option \`threads\``);
    // Long enough for the longest prompt, and without repetitions.
    const text = await readFile(here("../LICENSE-APACHE"), "utf8");
    console.error("kernels");
    const kernels = {};
    for (const loops of ["relaxed", "simd128", "ggml"])
      kernels[loops] = await browser.withPage((call) => call("kernels", loops));
    const means = { text, bandwidth: await assemble(), takesThreads };
    const races = [];
    for (const model of models.filter(({ name }) => options.models.includes(name)))
      races.push(await beside(options.busy, () => race(browser, model, contestants, means, options)));
    const about = {
      ...started,
      command: ["./build.sh bench", ...args].join(" "),
      browser: browser.version,
      processor: `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores`,
      "load average": `${loadBefore} before, ${load()} after`,
      "other programs": options.busy
        ? `${options.busy} that keep a core busy each`
        : "none that were started",
      rounds: `${options.rounds}, of which the medians are shown`,
    };
    return { about, options, prompts: options.prompts, contestants, notes, kernels, races };
  });

  const markdown = report(results);
  console.log(markdown);
  await mkdir(here("results"), { recursive: true });
  const minute = results.about.date.slice(0, 16).replace(":", "");
  const file = here(`results/${minute}-${results.about.commit}`);
  await writeFile(`${file}.md`, markdown);
  await writeFile(`${file}.json`, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(`Every run: ${relative(process.cwd(), file)}.json`);
  if (results.races.some(({ failed }) => failed.length > 0)) process.exitCode = 1;
}

await main(process.argv.slice(2)).catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
