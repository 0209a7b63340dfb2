// node sources.js MODEL URL: what the model answers, from every kind of source, and its name.
import { openAsBlob } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { loadModel } from "tallow";

const [, , path, url] = process.argv;
const { buffer } = Uint8Array.from(await readFile(path));
const file = await open(path);
const sources = {
  path,
  absolute: resolve(path),
  list: [path],
  fileUrl: pathToFileURL(path),
  fileUrlString: pathToFileURL(path).href,
  url,
  buffer,
  blob: new Blob([buffer]),
  stream: file.readableWebStream({ type: "bytes" }),
};

const answers = {};
for (const [kind, source] of Object.entries(sources)) {
  const reports = [];
  const model = await loadModel(source, { onProgress: (progress) => reports.push(progress) });
  const body = { prompt: "abc", max_tokens: 8, temperature: 0, ignore_eos: true };
  const { choices } = await model.completions.create(body);
  answers[kind] = { text: choices[0].text, name: model.info.name, read: reports.at(-1).loaded };
  await model.dispose();
}
await file.close();
console.log(JSON.stringify(answers));
