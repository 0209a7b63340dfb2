/** The race on one model: rounds in which the contestants take turns, each in a page of its own. */

/**
 * @typedef {import("./contestants.js").Contestant} Contestant
 * @typedef {import("./page.js").Prompt} Prompt
 * @typedef {import("./page.js").Run & { loadMs: number, memory?: number }} Run
 * @typedef {{ name: string, title: string, file: string, fileBytes: number, weightBytes: number }} Model
 *
 * What a round brought: by threads the bytes per second that were read before and after it, and runs by contestant and
 * length of the prompt.
 * @typedef {{ bandwidth: Record<number, number[]>, runs: Record<string, Record<number, Run>> }} Round
 *
 * @typedef {Model & { rounds: Round[], leftOut: string[], failed: string[] }} Race
 */

/** Passes of one token each after the prompt. Of the tokens drawn the first comes from the prompt's logits. */
export const N_DECODE = 64;
const WARM_UP = { n_prompt: 16, n_decode: 4, ms: 2000 };
/** Threads on which the read bandwidth is measured. */
const THREADS = [1, 2];

/**
 * @param {import("./browser.js").Browser} browser
 * @param {Model} model
 * @param {Contestant[]} contestants
 * @param {{ text: string, bandwidth: number[], takesThreads: boolean }} means
 * @param {import("./options.js").Options} options
 * @returns {Promise<Race>}
 */
export async function race(browser, model, contestants, means, options) {
  const url = `/models/${model.file}`;
  console.error(`${model.title}: prompts`);
  const [warmUp, ...prompts] = await browser.withPage((call) =>
    call("prompts", url, means.text, [WARM_UP.n_prompt, ...options.prompts]),
  );

  /** @type {Race} */
  const result = { ...model, rounds: [], leftOut: [], failed: [] };
  /** Contestants that failed, and prompts that take too long for some: once out, out for all rounds. */
  const out = new Set();

  /** @type {(contestant: Contestant) => Promise<Record<number, Run>>} */
  const turn = (contestant) =>
    browser.withPage(async (call) => {
      const { engine, module } = contestant;
      const n_ctx = options.prompts[options.prompts.length - 1] + N_DECODE + 1;
      const threads = engine === "tallow" && !means.takesThreads ? undefined : contestant.threads;
      const loadMs = await call("load", engine, { url, n_ctx, module, threads });
      const memory = await call("memory");
      await call("warmUp", warmUp, WARM_UP.n_decode, WARM_UP.ms);
      /** @type {Record<number, Run>} */
      const runs = {};
      for (const [i, prompt] of prompts.entries()) {
        const n_prompt = options.prompts[i];
        const key = `${contestant.name} ${n_prompt}`;
        if (out.has(key)) continue;
        const before = runs[options.prompts[i - 1]];
        const seconds = before && estimate(before, n_prompt);
        if (seconds > options.limit) {
          for (const longer of options.prompts.slice(i)) out.add(`${contestant.name} ${longer}`);
          result.leftOut.push(
            `${label(contestant)}: prompts of ${n_prompt} or more; one would take about ${Math.ceil(seconds)} s`,
          );
          break;
        }
        const run = await call("run", prompt, N_DECODE + 1);
        checkCounts(run, n_prompt);
        runs[n_prompt] = { ...run, loadMs, memory };
      }
      return runs;
    });

  for (let round = 1; round <= options.rounds; round++) {
    /** @type {Round} */
    const now = { bandwidth: Object.fromEntries(THREADS.map((threads) => [threads, []])), runs: {} };
    result.rounds.push(now);
    const measureBandwidth = async () => {
      for (const threads of THREADS)
        now.bandwidth[threads].push(
          await browser.withPage((call) => call("bandwidth", means.bandwidth, threads)),
        );
    };
    await measureBandwidth();
    for (const contestant of contestants) {
      if (out.has(contestant.name)) continue;
      console.error(`${model.title}: round ${round} of ${options.rounds}, ${label(contestant)}`);
      try {
        now.runs[contestant.name] = await turn(contestant);
      } catch (error) {
        out.add(contestant.name);
        result.failed.push(`${label(contestant)}: ${error.message.split("\n")[0]}`);
      }
    }
    await measureBandwidth();
  }
  return result;
}

/** The contestant in words. */
export function label({ title, threads }) {
  return `${title}, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
}

/**
 * The seconds that a longer prompt will take, at the speed of a shorter one.
 * @param {Run} run
 * @param {number} n_prompt
 */
function estimate({ timings }, n_prompt) {
  return ((timings.prompt_ms / timings.prompt_n) * n_prompt + timings.predicted_ms) / 1000;
}

/**
 * @param {Run} run
 * @param {number} n_prompt
 */
function checkCounts({ timings: { prompt_n, predicted_n } }, n_prompt) {
  if (prompt_n !== n_prompt || predicted_n !== N_DECODE + 1)
    throw new Error(
      `${n_prompt} + ${N_DECODE + 1} tokens should be computed, got ${prompt_n} + ${predicted_n}`,
    );
}
