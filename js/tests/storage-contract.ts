/**
 * What every kind of storage does, as tests for any of them. A test's steps run one after the other on the same files;
 * in a browser each has a worker or a page of its own, and its worker is terminated without closing anything.
 */

import { PIECE_LENGTH } from "../src/storage/cache-api.js";
import type { FileStore, StoredFile } from "../src/storage/storage.js";

export interface Step {
  where: "worker" | "page";
  run(store: FileStore): Promise<void>;
}

export interface ContractTest {
  name: string;
  steps: Step[];
}

const inWorker = (run: Step["run"]): Step => ({ where: "worker", run });
const onPage = (run: Step["run"]): Step => ({ where: "page", run });

/** `length` bytes of an endless row, from `at` on. */
export function sample(at: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Math.imul(at + i, 0x9e3779b1) >>> 24;
  return bytes;
}

/** Throws unless `got` is `expected`, compared as JSON. */
export function equal(what: string, got: unknown, expected: unknown): void {
  const [gotJson, expectedJson] = [JSON.stringify(got), JSON.stringify(expected)];
  if (gotJson !== expectedJson) throw new Error(`${what}: expected ${expectedJson}, got ${gotJson}`);
}

/** Throws unless the file is the first `length` bytes of the row, when read in parts of `step` bytes. */
export async function equalsSample(file: StoredFile, length: number, step = 700_001): Promise<void> {
  equal("length", file.length, length);
  const into = new Uint8Array(step);
  for (let at = 0; at < length; at += step) {
    equal(`bytes read at ${at}`, await file.read(at, into), Math.min(step, length - at));
    sameBytes(`from ${at}`, into.subarray(0, length - at), sample(at, Math.min(step, length - at)));
  }
}

function sameBytes(what: string, got: Uint8Array, expected: Uint8Array): void {
  equal(`${what}: length`, got.length, expected.length);
  for (let i = 0; i < got.length; i++)
    if (got[i] !== expected[i]) equal(`${what}: byte ${i}`, got[i], expected[i]);
}

/** Goes on with the row, `length` bytes in parts of `step`. */
export async function appendSample(file: StoredFile, length: number, step = 700_001): Promise<void> {
  for (const end = file.length + length; file.length < end;)
    await file.append(sample(file.length, Math.min(step, end - file.length)));
}

async function write(store: FileStore, name: string, length: number): Promise<void> {
  const file = await store.open(name);
  await appendSample(file, length);
  await file.close();
}

async function listed(store: FileStore): Promise<Record<string, number>> {
  const files = await store.list();
  return Object.fromEntries(files.map(({ name, length }) => [name, length] as const).sort());
}

const LONG = 2 * PIECE_LENGTH + 12_345;

export const contract: ContractTest[] = [
  {
    name: "what is appended is read back, at any place and past the end",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a.gguf");
        equal("length of a new file", file.length, 0);
        equal("read of a new file", await file.read(0, new Uint8Array(3)), 0);
        await appendSample(file, PIECE_LENGTH + 1000);
        for (const at of [0, 1, PIECE_LENGTH - 1, PIECE_LENGTH, PIECE_LENGTH + 1, PIECE_LENGTH - 999]) {
          const into = new Uint8Array(999);
          equal(`bytes read at ${at}`, await file.read(at, into), 999);
          sameBytes(`at ${at}`, into, sample(at, 999));
        }
        const into = new Uint8Array(10).fill(7);
        equal("bytes read at the end", await file.read(file.length - 4, into), 4);
        sameBytes("at the end", into.subarray(0, 4), sample(file.length - 4, 4));
        equal("what was not read", Array.from(into.subarray(4)), [7, 7, 7, 7, 7, 7]);
        equal("read from the end", await file.read(file.length, into), 0);
        equal("read from past the end", await file.read(3 * PIECE_LENGTH, into), 0);
        await file.append(sample(file.length, 5));
        await equalsSample(file, PIECE_LENGTH + 1005);
      }),
    ],
  },
  {
    name: "pieces that end where an append ends",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, 3 * PIECE_LENGTH, PIECE_LENGTH / 2);
        await file.flush();
        await equalsSample(file, 3 * PIECE_LENGTH, PIECE_LENGTH);
      }),
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, 1);
        await equalsSample(file, 3 * PIECE_LENGTH + 1);
      }),
    ],
  },
  {
    name: "a long file is whole after it was flushed and its worker terminated, and goes on",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("long");
        await appendSample(file, LONG);
        await file.flush();
      }),
      inWorker(async (store) => {
        const file = await store.open("long");
        await equalsSample(file, LONG);
        await appendSample(file, 321);
        await file.flush();
      }),
      inWorker(async (store) => equalsSample(await store.open("long"), LONG + 321)),
    ],
  },
  {
    name: "what was not flushed may be lost, what was may not",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, 1000);
        await file.flush();
        await appendSample(file, 500);
      }),
      inWorker(async (store) => {
        const file = await store.open("a");
        equal(`length ${file.length}`, file.length >= 1000 && file.length <= 1500, true);
        await equalsSample(file, file.length);
      }),
    ],
  },
  {
    name: "many flushes, and reads between them",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        for (let i = 0; i < 20; i++) {
          await appendSample(file, 415_000 + i, 100_000);
          await file.flush();
          const into = new Uint8Array(50);
          await file.read(10, into);
          sameBytes("at 10", into, sample(10, 50));
        }
      }),
      inWorker(async (store) => equalsSample(await store.open("a"), 20 * 415_000 + 190)),
    ],
  },
  {
    name: "a closed file opens again in the same worker",
    steps: [
      inWorker(async (store) => {
        for (const length of [5, 50, 500]) await write(store, "a", length);
        const file = await store.open("a");
        await equalsSample(file, 555);
        await file.close();
      }),
      onPage(async (store) => equal("list", await listed(store), { a: 555 })),
    ],
  },
  {
    name: "an abandoned file has what was flushed, opens again, and is used no more where it was abandoned",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, LONG);
        await file.flush();
        await appendSample(file, 500);
        await file.abandon();
        for (const use of [
          () => file.read(0, new Uint8Array(1)),
          () => file.append(new Uint8Array(1)),
          () => file.truncate(0),
          () => file.flush(),
          () => file.close(),
        ]) {
          const code = await use().then(
            () => "accepted",
            (error: { code: string }) => error.code,
          );
          equal("code", code, "storage_failed");
        }
        const again = await store.open("a");
        equal(`length ${again.length}`, again.length >= LONG && again.length <= LONG + 500, true);
        await equalsSample(again, again.length);
        await again.abandon();
        await store.delete("a");
        equal("list", await listed(store), {});
      }),
    ],
  },
  ...[0, 1, PIECE_LENGTH - 1, PIECE_LENGTH, PIECE_LENGTH + 1, LONG, LONG + 1].map((length) => ({
    name: `cut to ${length} bytes of ${LONG}, a file goes on from there`,
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, LONG);
        await file.truncate(length);
        await equalsSample(file, Math.min(length, LONG));
        await file.flush();
      }),
      inWorker(async (store) => {
        const file = await store.open("a");
        await equalsSample(file, Math.min(length, LONG));
        await appendSample(file, 3);
        await equalsSample(file, Math.min(length, LONG) + 3);
        await file.flush();
      }),
      inWorker(async (store) => equalsSample(await store.open("a"), Math.min(length, LONG) + 3)),
    ],
  })),
  ...[1, 12_345, PIECE_LENGTH, LONG].map((flushed) => ({
    name: `what was appended behind ${flushed} bytes is cut off before it is flushed`,
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        await appendSample(file, flushed);
        await file.flush();
        for (const more of [1, PIECE_LENGTH + 5]) {
          await file.append(sample(0, more));
          await file.truncate(flushed);
          await equalsSample(file, flushed);
        }
        await appendSample(file, 3);
        await file.flush();
      }),
      inWorker(async (store) => equalsSample(await store.open("a"), flushed + 3)),
    ],
  })),
  {
    name: "a file may be cut and written anew again and again",
    steps: [
      inWorker(async (store) => {
        const file = await store.open("a");
        for (const length of [300, 100, 300, 0, 20]) {
          await file.truncate(length);
          await appendSample(file, 300 - file.length);
          await file.flush();
        }
      }),
      inWorker(async (store) => equalsSample(await store.open("a"), 300)),
    ],
  },
  {
    name: "many files and texts are listed with their lengths, in a worker and on a page",
    steps: [
      inWorker(async (store) => {
        for (let i = 0; i < 30; i++) await write(store, `file-${i}.gguf`, i * 100);
        for (let i = 0; i < 5; i++) await store.writeText(`text-${i}.json`, "ä".repeat(i));
        equal("files", (await store.list()).length, 35);
      }),
      onPage(async (store) => {
        const files = await listed(store);
        equal("names", Object.keys(files).length, 35);
        for (let i = 0; i < 30; i++) equal(`file ${i}`, files[`file-${i}.gguf`], i * 100);
        for (let i = 0; i < 5; i++) equal(`text ${i}`, files[`text-${i}.json`], 2 * i);
      }),
    ],
  },
  {
    name: "deleting takes one file or text, on a page and in a worker; an absent one is fine",
    steps: [
      inWorker(async (store) => {
        for (const name of ["a", "a.b", "ab"]) await write(store, name, PIECE_LENGTH + 10);
        for (const name of ["t", "t.b", "tb"]) {
          await store.writeText(name, "old");
          await store.writeText(name, "new");
        }
        await store.delete("a");
        await store.delete("t");
        await store.delete("a");
        await store.delete("never");
        equal("text", await store.readText("t"), undefined);
        const left = { "a.b": PIECE_LENGTH + 10, ab: PIECE_LENGTH + 10, "t.b": 3, tb: 3 };
        equal("list", await listed(store), left);
      }),
      onPage(async (store) => {
        for (const name of ["ab", "tb", "a", "never"]) await store.delete(name);
        equal("list", await listed(store), { "a.b": PIECE_LENGTH + 10, "t.b": 3 });
      }),
      inWorker(async (store) => {
        const file = await store.open("a");
        equal("length", file.length, 0);
        await appendSample(file, 10);
        await equalsSample(file, 10);
      }),
    ],
  },
  {
    name: "a text is replaced as a whole, and read on a page",
    steps: [
      onPage(async (store) => equal("no text", await store.readText("a.json"), undefined)),
      inWorker(async (store) => {
        for (const text of ["", "first", "{}", "a longer one, with Übermut and 🦙", "\ufeff1 2 3", "last"]) {
          await store.writeText("a.json", text);
          equal("text", await store.readText("a.json"), text);
        }
        await store.writeText("b.json", '{"length":12}');
      }),
      onPage(async (store) => {
        equal("a", await store.readText("a.json"), "last");
        equal("b", await store.readText("b.json"), '{"length":12}');
        await store.delete("a.json");
        equal("deleted", await store.readText("a.json"), undefined);
      }),
      inWorker(async (store) => {
        equal("deleted", await store.readText("a.json"), undefined);
        await store.writeText("a.json", "again");
        equal("again", await store.readText("a.json"), "again");
      }),
    ],
  },
  {
    name: "bytes in shared memory are appended and read",
    steps: [
      inWorker(async (store) => {
        const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
        const shared = new Uint8Array(buffer, 100, 5000);
        shared.set(sample(0, 5000));
        const file = await store.open("a");
        await file.append(shared);
        shared.fill(0);
        await file.flush();
        await equalsSample(file, 5000);
        equal("read", await file.read(0, shared), 5000);
        sameBytes("shared", shared, sample(0, 5000));
      }),
    ],
  },
  {
    name: "other names are refused",
    steps: [
      inWorker(async (store) => {
        for (const name of ["", "A", "a/b", "a\\b", "..", ".a", "a.", "a_1", "a b", "ä", "a\n", "-a"]) {
          for (const use of [
            () => store.open(name),
            () => store.readText(name),
            () => store.writeText(name, ""),
            () => store.delete(name),
          ]) {
            const code = await use().then(
              () => "accepted",
              (error: { code: string }) => error.code,
            );
            equal(JSON.stringify(name), code, "internal");
          }
        }
        equal("list", await store.list(), []);
      }),
    ],
  },
];
