import { build } from "esbuild";

await build({
  entryPoints: {
    index: "index.html",
    main: "main.js",
    // esbuild does not follow `new URL("./worker.js", import.meta.url)`: these are to lie beside the bundle.
    worker: "tallow/worker.js",
    "wasm/relaxed": "tallow/wasm/relaxed.wasm",
    "wasm/simd128": "tallow/wasm/simd128.wasm",
  },
  loader: { ".html": "copy", ".wasm": "copy" },
  bundle: true,
  format: "esm",
  minify: true,
  splitting: process.argv.includes("--splitting"),
  outdir: "dist",
});
