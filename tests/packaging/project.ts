/** Projects that install the packed package, each in a folder far from this repository and its `node_modules`. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A user's environment: Node complains where a test runner's `FORCE_COLOR` comes beside `NO_COLOR`. */
const { FORCE_COLOR: _, ...inherited } = process.env;
const env = { ...inherited, NO_COLOR: "1", CI: "1", NEXT_TELEMETRY_DISABLED: "1" };

/** What `command` prints, standard output and errors together; rejects with it where that fails. */
export function run(folder: string, command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd: folder, env }, (error, stdout, stderr) => {
      const printed = `${stdout}${stderr}`;
      if (error) reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${printed}`));
      else resolve(printed);
    });
  });
}

/** A command of its own process group, so that what it starts ends with it. */
async function start(folder: string, url: RegExp, command: string, ...args: string[]) {
  const child = spawn(command, args, { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid);
    await ended;
  };
  let printed = "";
  const found = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
        const [match] = url.exec(stripVTControlCharacters(printed)) ?? [];
        if (match) resolve(match);
      });
    }
    child.on("exit", () => reject(new Error(`${command} ${args.join(" ")} ended:\n${printed}`)));
  });
  return { url: await found, [Symbol.asyncDispose]: stop };
}

let packing: Promise<string> | undefined;

/** The tarball's path. It is packed once. */
export function tarball(): Promise<string> {
  return (packing ??= pack());
}

async function pack(): Promise<string> {
  const folder = here("../../test-results/tarball/");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const name = await run(here("../../js/"), "npm", "pack", "--silent", "--pack-destination", folder);
  return join(folder, name.trim());
}

/** An installed project, which is deleted in the end. */
export interface Project extends AsyncDisposable {
  folder: string;
  run(command: string, ...args: string[]): Promise<string>;
  /** Starts a server of the project's own, by whose first output that fits `url` it is known to listen. */
  start(url: RegExp, command: string, ...args: string[]): Promise<{ url: string } & AsyncDisposable>;
  /** Puts the models of this repository into a folder of the project. */
  linkModels(folder: string): Promise<void>;
}

/** Installs a copy of `projects/NAME`, of `parts` of this folder as well. */
export async function install(name: string, ...parts: string[]): Promise<Project> {
  const project = await copy(name, ...parts, `projects/${name}`);
  await project.run("npm", "ci", ...QUIETLY);
  return project;
}

/** Installs a copy of `examples/web/NAME`, whose `tallow` is the packed one. */
export async function installExample(name: string): Promise<Project> {
  const project = await copy(name, `../../examples/web/${name}`);
  await project.run("npm", "install", ...QUIETLY, "tallow@file:tallow.tgz");
  return project;
}

const QUIETLY = ["--no-audit", "--no-fund", "--prefer-offline"];

/** A project of `parts` of this folder and the tarball, of which nothing is installed yet. */
async function copy(name: string, ...parts: string[]): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), `tallow-${name}-`));
  for (const part of parts) await cp(here(part), folder, { recursive: true });
  await cp(await tarball(), join(folder, "tallow.tgz"));
  return {
    folder,
    run: (command, ...args) => run(folder, command, ...args),
    start: (url, command, ...args) => start(folder, url, command, ...args),
    async linkModels(path) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await symlink(here("../../models"), join(folder, path));
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
