import { expect, onTestFinished, test, vi } from "vitest";
import { NodeWorker } from "../src/node/node-worker.js";

/** A worker with this script, and what it tells of its end. */
function running(script: string) {
  const worker = new NodeWorker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
  onTestFinished(() => worker.terminate());
  const errors: unknown[] = [];
  worker.addEventListener("error", (event) => errors.push((event as ErrorEvent).message));
  const told = new Promise((resolve) => worker.addEventListener("message", resolve));
  return { worker, errors, told };
}

/** Long enough for an exit to be told of. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 200));

test.each([
  ["process.exit(7)", "it exited with code 7"],
  ["0", "it exited with code 0"],
  ["throw new RangeError('oh')", "oh"],
  ["setTimeout(() => process.exit(7), 50)", "it exited with code 7"],
])("the end of `%s` is one error", async (script, message) => {
  const { errors } = running(script);
  await vi.waitFor(() => expect(errors).toEqual([message]), { timeout: 10_000 });
  await aWhile();
  expect(errors).toEqual([message]);
});

test("one that was ended tells of no error", async () => {
  const { worker, errors, told } = running(
    "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => {}); parentPort.postMessage(1)",
  );
  await told;
  worker.terminate();
  await aWhile();
  expect(errors).toEqual([]);
});
