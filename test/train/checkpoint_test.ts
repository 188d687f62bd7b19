import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { CorruptFileError, writeSafetensors } from "../../lib/formats/mod.ts";
import { initialParameters } from "../../lib/train/initial.ts";
import { saveCheckpoint } from "../../lib/train/checkpoint.ts";
import { verifyCheckpoint, writeCheckpoint } from "../../lib/train/checkpoint_files.ts";
import { lockFolder } from "../../lib/train/lock.ts";
import { latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";
import { config } from "./tiny.ts";

const scratch = (): string => mkdtempSync(join(tmpdir(), "albert-"));

function save(folder: string, step: number, attachments: Record<string, Uint8Array> = {}): string {
  const [parameters, m, v] = [1, 2, 3].map((seed) => initialParameters(config, seed)) as [
    Record<string, Float32Array>,
    Record<string, Float32Array>,
    Record<string, Float32Array>,
  ];
  const state = {
    step,
    position: 3 * step,
    totals: [0.1, NaN].slice(0, 1),
    steps_in_totals: 1,
    run: { seed: 1 },
  };
  return saveCheckpoint(folder, { config, parameters, m, v, state }, { keep: 0, attachments });
}

/** Replaces a file and makes the manifest fit again, so that only the content is wrong. */
function forge(path: string, name: string, bytes: Uint8Array): void {
  writeFileSync(join(path, name), bytes);
  const { files } = JSON.parse(readFileSync(join(path, "manifest.json"), "utf8"));
  files[name] = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  writeOldManifest(path, files);
}

/** A manifest of before it had a checksum of itself. */
function writeOldManifest(path: string, files: object): void {
  const manifest = { format: "albert-guide checkpoint", version: 1, files };
  writeFileSync(join(path, "manifest.json"), JSON.stringify(manifest));
}

Deno.test("readCheckpoint() gives back what was saved, from the folder or from the one above", () => {
  const folder = scratch();
  const path = save(folder, 7);
  assert.equal(path, join(folder, "step-000007"));
  const found = readCheckpoint(folder);
  assert.deepEqual(found, readCheckpoint(path));
  assert.deepEqual(found.config, config);
  assert.deepEqual(found.parameters, initialParameters(config, 1));
  assert.deepEqual([found.m, found.v], [initialParameters(config, 2), initialParameters(config, 3)]);
  assert.deepEqual(found.state, {
    step: 7,
    position: 21,
    totals: [0.1],
    steps_in_totals: 1,
    run: { seed: 1 },
  });
  rmSync(folder, { recursive: true });
});

Deno.test("saveCheckpoint() leaves nothing and keeps the one before when a write fails", () => {
  const folder = scratch();
  const first = save(folder, 1);
  // A name in a folder that does not exist fails after other files are written.
  assert.throws(() => save(folder, 2, { "no/such/folder": Uint8Array.of(1) }), /Cannot save the checkpoint/);
  assert.deepEqual(readdirSync(folder), ["step-000001"]);
  assert.equal(latestCheckpoint(folder), first);
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() names what is wrong inside a folder whose manifest fits", () => {
  const folder = scratch();
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["model.safetensors", writeSafetensors({}), /word_embeddings has no values, its config asks for 80/],
    [
      "model.safetensors",
      writeSafetensors({ a: { dtype: "I32", shape: [1], data: Int32Array.of(1) } }),
      /tensor a is I32, expected F32/,
    ],
    ["optimizer.safetensors", writeSafetensors({}), /has no values/],
    ["optimizer.safetensors", Uint8Array.of(1), /Cannot read safetensors/],
  ];
  for (const [name, bytes, message] of cases) {
    const path = save(folder, 1);
    forge(path, name, bytes);
    assert.throws(
      () => readCheckpoint(path),
      (error) => error instanceof CorruptFileError && message.test(error.message),
    );
  }
  const path = save(folder, 1);
  rmSync(join(path, "state.json"));
  assert.throws(() => readCheckpoint(path), /state.json is missing/);
  writeFileSync(join(path, "manifest.json"), "{}");
  assert.throws(() => readCheckpoint(path), /its manifest lists no files/);
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() names the tensor of a flipped byte, in weights and moments, and the header", () => {
  const folder = scratch();
  for (const [file, slot] of [["model", ""], ["optimizer", "/adam_v"]] as const) {
    const path = save(folder, 1);
    const name = join(path, `${file}.safetensors`);
    const bytes = readFileSync(name);
    const header = Number(bytes.readBigUInt64LE(0));
    const entries = JSON.parse(bytes.toString("utf8", 8, 8 + header));
    for (const tensor of ["bert/embeddings/word_embeddings", "bert/pooler/dense/bias"]) {
      const flipped = Uint8Array.from(bytes);
      const at = 8 + header + entries[`${tensor}${slot}`].data_offsets[1] - 1;
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      writeFileSync(name, flipped);
      assert.throws(() => readCheckpoint(path), new RegExp(`tensor ${tensor}${slot} is damaged`));
    }
    const cut = Uint8Array.from(bytes);
    cut[9] = 0;
    writeFileSync(name, cut);
    assert.throws(() => readCheckpoint(path), /its header is damaged/);
  }
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() reads weights without moments", () => {
  const folder = scratch();
  const path = save(folder, 1);
  const { files } = JSON.parse(readFileSync(join(path, "manifest.json"), "utf8"));
  delete files["optimizer.safetensors"];
  writeOldManifest(path, files);
  rmSync(join(path, "optimizer.safetensors"));
  assert.equal(readCheckpoint(path).m, undefined);
  rmSync(folder, { recursive: true });
});

Deno.test("lockFolder() takes over a dead process's lock and respects a living one's", () => {
  const folder = scratch();
  const path = join(folder, "train.lock");
  writeFileSync(path, `999999999 ${hostname()}\n`);
  const unlock = lockFolder(folder);
  assert.throws(() => lockFolder(folder), /is training there/);
  unlock();
  assert.equal(existsSync(path), false);
  writeFileSync(path, `1 ${hostname()}\n`); // process 1 lives
  assert.throws(() => lockFolder(folder), /process 1/);
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() refuses a manifest with any bit flipped, by name, and offers the one before", () => {
  const folder = scratch();
  const before = save(folder, 1);
  const content = { bytes: Uint8Array.of(1, 2, 3) };
  const small = writeCheckpoint({ folder, step: 3, files: [{ name: "a", content }], keep: 0, protect: [] });
  for (const path of [small, before]) {
    const file = join(path, "manifest.json");
    const bytes = readFileSync(file);
    const taken: string[] = [];
    for (let bit = 0; bit < 8 * bytes.length; bit += path === small ? 1 : 97) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(file, flipped);
      try {
        verifyCheckpoint(path);
        taken.push(`byte ${bit >> 3}, bit ${bit & 7}`);
      } catch (error) {
        if (!(error instanceof CorruptFileError)) throw error;
      }
    }
    assert.deepEqual(taken, []);
    writeFileSync(file, bytes);
  }
  rmSync(small, { recursive: true });
  const path = save(folder, 2);
  const file = join(path, "manifest.json");
  const bytes = readFileSync(file);
  const digit = Uint8Array.from(bytes);
  const at = bytes.indexOf('"bytes": ') + 9;
  digit[at] = (digit[at] ?? 0) ^ 1;
  writeFileSync(file, digit);
  assert.throws(
    () => readCheckpoint(path),
    (error) =>
      error instanceof CorruptFileError && error.message.includes(before) &&
      /manifest\.json/.test(error.message),
  );
  assert.equal(latestCheckpoint(folder), before);
  rmSync(folder, { recursive: true });
});

Deno.test("readCheckpoint() reads a checkpoint of before the manifest had a checksum of itself", () => {
  const folder = scratch();
  const path = save(folder, 1);
  const { files } = JSON.parse(readFileSync(join(path, "manifest.json"), "utf8"));
  writeOldManifest(path, files);
  assert.equal(readCheckpoint(folder).state.step, 1);
  rmSync(folder, { recursive: true });
});
