/**
 * Writes the scripts of `dist`: one for each entry, with all in it that it imports, and the wasm; and keeps those of the
 * compiler's declarations that users see. Node's scripts come from the same sources, but a file in `src/node` takes the
 * place of its namesake in `src`. Fails where what a page loads is over its budget.
 */
import { cpSync, existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

/** Bytes that all scripts of a page may have together, each after `gzip -9`. */
const BUDGET = 30_000;

const src = fileURLToPath(new URL("./src/", import.meta.url));
const dist = fileURLToPath(new URL("./dist/", import.meta.url));

const nodesOwn = {
  name: "tallow:node",
  resolveId(id, importer) {
    if (!importer || !id.startsWith(".")) return null;
    const path = relative(src, resolve(dirname(importer), id)).replace(/\.js$/, ".ts");
    const own = join(src, "node", path);
    return existsSync(own) ? own : null;
  },
};

/**
 * Bundles the entry `src/NAME.ts`.
 * @returns what the script weighs, in bytes after `gzip -9`
 */
async function script(name, { file = `${name}.js`, format = "esm", platform = "browser" } = {}) {
  const build = await rolldown({
    input: join(src, `${name}.ts`),
    platform,
    plugins: platform === "node" ? [nodesOwn] : [],
    resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
    onLog(_, { message }) {
      throw new Error(message);
    },
  });
  // Node shows the line of an error, which is then not to be the whole script.
  const minify = platform === "browser";
  const { output } = await build.write({ file: join(dist, file), format, minify, sourcemap: true });
  await build.close();
  const { code } = output[0];
  const gzip = gzipSync(code, { level: 9 }).length;
  console.error(
    `${`js/dist/${file}`.padEnd(28)} ${String(code.length).padStart(9)} bytes, ${String(gzip).padStart(9)} gzip`,
  );
  return gzip;
}

/** The declarations that an entry's lead to, itself among them. */
function reached(entry, found = new Set()) {
  if (found.has(entry)) return found;
  found.add(entry);
  for (const [, id] of readFileSync(entry, "utf8").matchAll(/from "(\..+)\.js"/g))
    reached(join(dirname(entry), `${id}.d.ts`), found);
  return found;
}

// Those of what is internal are of no use to others.
const wanted = new Set(["index", "isolation"].flatMap((name) => [...reached(join(dist, `${name}.d.ts`))]));
for (const name of readdirSync(dist, { recursive: true }))
  if (name.endsWith(".d.ts") && !wanted.has(join(dist, name))) rmSync(join(dist, name));

let weight = 0;
for (const name of ["index", "worker", "isolation"]) weight += await script(name);
await script("isolation-sw", { format: "iife" });
await script("index", { file: "node.js", platform: "node" });
await script("worker", { file: "node-worker.js", platform: "node" });
for (const module of ["relaxed", "simd128"])
  cpSync(join(src, `wasm/${module}.wasm`), join(dist, `wasm/${module}.wasm`));

console.error(`${"the scripts of a page".padEnd(28)} ${String(weight).padStart(9 + 7 + 10)} gzip`);
if (weight > BUDGET) throw new Error(`the scripts of a page are over their ${BUDGET} bytes`);
