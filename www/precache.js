/** Puts the service worker into the built page, with the list of what it is to hold. */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const source = new URL("./sw.js", import.meta.url);

/**
 * Writes `sw.js` into `folder`: the files' names, each with the hash of its content, a version that is the hash of all
 * of them, and the code that takes both.
 * @param {string} folder
 */
export function writeServiceWorker(folder) {
  const files = {};
  for (const name of filesIn(folder)) {
    // The page goes by the address of its folder: hosts redirect from the other.
    files[name === "index.html" ? "./" : name] =
      `sha256-${sha256(readFileSync(join(folder, name)), "base64")}`;
  }
  const list = JSON.stringify(files, null, 2);
  const version = sha256(list, "hex").slice(0, 16);
  const code = readFileSync(source, "utf8");
  writeFileSync(join(folder, "sw.js"), `const version = "${version}";\nconst files = ${list};\n\n${code}`);
}

/** Paths from `folder` on, with slashes and in order, but for an earlier service worker. */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((name) => name !== "sw.js")
    .sort();
}

function sha256(content, encoding) {
  return createHash("sha256").update(content).digest(encoding);
}
