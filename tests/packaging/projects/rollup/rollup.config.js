import { nodeResolve } from "@rollup/plugin-node-resolve";

// Rollup leaves `new URL("./worker.js", import.meta.url)` as it is: the worker and the wasm are copied beside the bundle.
export default { input: "main.js", output: { dir: "dist" }, plugins: [nodeResolve({ browser: true })] };
