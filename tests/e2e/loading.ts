/** What tests of loading share: models served well or badly, loads in a page, and what is stored damaged. */

import type { Page } from "@playwright/test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type * as Tallow from "tallow";
import { misbehaving, type Misbehaviour, type SeenRequest } from "../servers/misbehaving.js";
import { serve, type TestServer } from "./server.js";

export const golden = (path: string) => readFileSync(new URL(path, import.meta.url));
export const TINY = golden("../golden/tiny/tiny-Q4_0.gguf");
export const DEFAULT = golden("../../models/smollm2-135m-instruct-q4_1.gguf");
export const MODEL = "/model.gguf";
export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A server, and what was asked of it for models. */
export type ModelServer = TestServer & { requests: SeenRequest[] };

/** The package's page, and `file` at {@link MODEL} as `script` has it. */
export function serveModel(file: Uint8Array, script: Misbehaviour[] = []): Promise<ModelServer> {
  return serveFiles({ [MODEL]: { file, script } });
}

/** The package's page, and files at their paths, each as its script has it. */
export async function serveFiles(
  files: Record<string, { file: Uint8Array; script?: Misbehaviour[] }>,
): Promise<ModelServer> {
  const requests: SeenRequest[] = [];
  const listeners = new Map(
    Object.entries(files).map(([path, { file, script = [] }]) => {
      const own: SeenRequest[] = [];
      const listener = misbehaving(file, script, own);
      return [path, { listener, own }];
    }),
  );
  const server = await serve({
    intercept(request, response) {
      const model = listeners.get(request.url ?? "");
      model?.listener(request, response);
      requests.push(...(model?.own.slice(-1) ?? []));
      return model !== undefined;
    },
  });
  return { ...server, requests };
}

export async function openPackage(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/test/package.html`);
  await page.waitForFunction(() => "tallow" in globalThis);
}

/** How a load went: what the model answers, or the error; the warnings; what is stored then. */
export async function load(
  page: Page,
  options: Tallow.LoadModelOptions = {},
  source: string | string[] = MODEL,
) {
  return page.evaluate(
    async ([source, options]) => {
      const warnings: string[] = [];
      const onWarning = ({ code, message }: Tallow.TallowError) => warnings.push(`${code}: ${message}`);
      const outcome = await tallow
        .loadModel(source, { ...options, onWarning })
        .then(async (model) => {
          const body = { prompt: "abc", max_tokens: 4, temperature: 0, ignore_eos: true };
          const answer = await model.completions.create(body);
          await model.dispose();
          return { text: answer.choices[0]?.text, sha256: model.info.sha256 };
        })
        .catch(({ code, message }: Tallow.TallowError) => ({ error: `${code}: ${message}` }));
      const seen: { text?: string | undefined; sha256?: readonly string[]; error?: string } = outcome;
      return { ...seen, warnings, stored: await tallow.cache.list() };
    },
    [source, options] as const,
  );
}
