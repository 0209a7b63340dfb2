// node dies.js MODEL: a compute worker that exits between two answers.
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

// The package, whose compute workers exit once there is a file `die`. While its clock stands still a worker does not sleep, but
// looks at the clock again and again, and is in no job while no answer is asked for.
cpSync("node_modules/tallow/dist", "dying", { recursive: true });
const exiting = `
  import * as nodeFiles from "node:fs";
  import { workerData as kindOfWorker } from "node:worker_threads";
  let looks = 0;
  const now = () => {
    if (++looks % 10000 === 0 && nodeFiles.existsSync("die")) {
      nodeFiles.writeFileSync("dead", "");
      process.exit(7);
    }
    return 0;
  };
  if (kindOfWorker === "tallow-compute") Object.defineProperty(performance, "now", { value: now });
`;
writeFileSync("dying/node-worker.js", exiting + readFileSync("dying/node-worker.js", "utf8"));
const { loadModel } = await import("./dying/node.js");

const model = await loadModel(process.argv[2], { threads: 2 });
const ask = () =>
  model.completions.create({ prompt: "abc", max_tokens: 4, temperature: 0, ignore_eos: true }).then(
    ({ choices }) => choices[0].text,
    ({ code, message }) => `${code}: ${message}`,
  );
const alive = await ask();
writeFileSync("die", "");
while (!existsSync("dead")) await setTimeout(10);
// Its end takes a moment.
const until = performance.now() + 5000;
let dead = await ask();
while (dead === alive && performance.now() < until) dead = await ask();
await model.dispose();
console.log(JSON.stringify({ alive, dead }));
