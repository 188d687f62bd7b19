// Shards made by tasks of their own, merged: the bytes of one run, whatever came in between, and words for what is wrong.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import {
  checkManifest,
  createRecords,
  finishRecords,
  readManifest,
  type RecordsOptions,
  type RecordsReport,
} from "../../lib/records/mod.ts";
import { madeHere } from "../../lib/records/made_by.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { canMount, onDevice, remount } from "../small_device.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
const tokenizer = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")));
const flags = {
  max_seq_length: 32,
  max_predictions_per_seq: 5,
  dupe_factor: 3,
  block_bytes: 2000,
  order: "stream",
  tokenizer,
} as const;

function place(): string {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/a.txt`, goldenPipeline().input_files["corpus.txt"] ?? "");
  writeFileSync(`${folder}/tok.model`, model, "base64");
  return folder;
}

const make = (folder: string, options: Partial<RecordsOptions>): Promise<RecordsReport> =>
  createRecords({
    ...flags,
    input_file: `${folder}/a.txt`,
    output_file: `${folder}/out`,
    tokenizer_file: `${folder}/tok.model`,
    ...options,
  });
const finish = (folder: string, options: Partial<RecordsOptions>): Promise<RecordsReport> =>
  finishRecords({ ...flags, input_file: `${folder}/a.txt`, output_file: `${folder}/out`, ...options });

Deno.test("finishRecords() writes the bytes of one run, from tasks in any order, repeated, and with threads", async () => {
  const folder = place();
  for (const output_file of [`${folder}/out`, `${folder}/b/x,${folder}/b/y,${folder}/b/z`]) {
    const whole = await make(folder, {
      output_file: output_file.replaceAll(`${folder}/`, `${folder}/whole/`),
    });
    for (const shard_index of [2, 0, 3, 1, 0]) {
      await make(folder, { output_file, shard_index, shard_count: 4, workers: shard_index === 3 ? 2 : 1 });
    }
    const merged = await finish(folder, { output_file, shard_count: 4 });
    const files = ({ outputs }: RecordsReport) =>
      outputs.map(({ sha256, bytes, records }) => ({ sha256, bytes, records }));
    assert.deepEqual(files(merged), files(whole));
    assert.deepEqual(checkManifest(merged.manifest), []);
    assert.deepEqual(readManifest(merged.manifest).counts, readManifest(whole.manifest).counts);
    assert.deepEqual(readManifest(merged.manifest).flags["shard_count"], 1);
    assert.deepEqual(files(await finish(folder, { output_file, shard_count: 4 })), files(whole));
    const packed = await finish(folder, { output_file, shard_count: 4, compression: "gzip" });
    assert.ok((packed.outputs[0]?.bytes ?? Infinity) < (whole.outputs[0]?.bytes ?? 0) / 2);
  }
});

Deno.test("finishRecords() takes shards without a document, and refuses a corpus without any", async () => {
  const folder = place();
  writeFileSync(
    `${folder}/a.txt`,
    "the earth was without form .\nand god said .\n\nlet there be light .\nand there was light .\n",
  );
  const shard_count = 5; // more than there are blocks
  for (let shard_index = 0; shard_index < shard_count; shard_index++) {
    await make(folder, { shard_index, shard_count });
  }
  const whole = await make(folder, { output_file: `${folder}/whole` });
  const merged = await finish(folder, { shard_count });
  assert.equal(merged.outputs[0]?.sha256, whole.outputs[0]?.sha256);
  assert.ok(merged.instances > 0);
  writeFileSync(`${folder}/empty.txt`, "\n\n");
  const none = { input_file: `${folder}/empty.txt`, output_file: `${folder}/none`, shard_count: 2 };
  for (const shard_index of [0, 1]) await make(folder, { ...none, shard_index });
  await assert.rejects(finish(folder, none), /no document with a sentence in .*empty\.txt;/);
});

Deno.test("finishRecords() names every shard that cannot be taken, and writes nothing", async () => {
  const folder = place();
  const shard_count = 6;
  for (const shard_index of [0, 2, 4, 5]) await make(folder, { shard_index, shard_count });
  await make(folder, { shard_index: 3, shard_count, ngram: 1 });
  const shard = (index: number): string => `${folder}/out-0000${index}-of-00006`;
  truncateSync(shard(2), 100);
  truncateSync(`${shard(5)}.keys`, 24);
  const bytes = readFileSync(shard(4));
  bytes[bytes.length >> 1]! ^= 1; // in range
  writeFileSync(shard(4), bytes);
  const error = await finish(folder, { shard_count }).then(() => "", (found: Error) => found.message);
  assert.match(error, /^Cannot finish records: 5 of 6 shards cannot be taken/);
  assert.match(error, /shard 1: there is no .*out-00001-of-00006\.manifest\.json/);
  assert.match(error, /shard 2: .*it has 100 bytes, its manifest says \d+/);
  assert.match(error, /shard 3: it was made with ngram 1, now it is 3/);
  assert.match(error, /shard 4: .*its content is not what its manifest says/);
  assert.match(error, /shard 5: .*keys has 24 bytes for \d+ records/);
  assert.match(
    error,
    /with --overwrite --shard_count=6 and --shard_index=1 and so on, or as the array 1,2,3,4,5; the/,
  );
  assert.equal(existsSync(`${folder}/out`), false);
  await assert.rejects(finish(folder, { shard_count: 1 }), /shard_count is 1; say how many shards/);
  copyFileSync(`${folder}/a.txt`, `${folder}/b.txt`);
  writeFileSync(`${folder}/b.txt`, `${readFileSync(`${folder}/b.txt`, "utf8")}\nmore .\n`);
  await make(folder, { output_file: `${folder}/two`, shard_index: 0, shard_count: 2 });
  await make(folder, {
    output_file: `${folder}/two`,
    shard_index: 1,
    shard_count: 2,
    input_file: `${folder}/b.txt`,
  });
  await assert.rejects(
    finish(folder, { output_file: `${folder}/two`, shard_count: 2 }),
    /shard 1: it was made from other raw files than shard 0/,
  );
});

Deno.test("shards tell the release that deno.json has", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../deno.json", import.meta.url), "utf8"));
  assert.equal(madeHere().release, version);
});

Deno.test("finishRecords() refuses shards of another version of the library or of Unicode", async () => {
  const folder = place();
  for (const shard_index of [0, 1, 2]) await make(folder, { shard_index, shard_count: 3 });
  const path = `${folder}/out-00001-of-00003.manifest.json`;
  const text = readFileSync(path, "utf8");
  const { made_by } = readManifest(path);
  const refusal = async (change: object): Promise<string> => {
    writeFileSync(path, JSON.stringify({ ...JSON.parse(text), made_by: { ...made_by, ...change } }));
    return await finish(folder, { shard_count: 3 }).then(() => "", (found: Error) => found.message);
  };
  assert.match(
    await refusal({ release: "9.0.0", records: 99 }),
    /1 of 3 .*shard 1: it was made by albert-guide 9\.0\.0, which makes other records than .*--shard_index=1; the others/,
  );
  assert.match(await refusal({ unicode: "3.2" }), /shard 1: it was made with Unicode 3\.2, shard 0 with \d+/);
  assert.equal(await refusal({ release: "0.1.1" }), ""); // another release that makes the same records
});

Deno.test("finishRecords() that is stopped leaves the shards and nothing half done", async () => {
  const folder = place();
  for (const shard_index of [0, 1]) await make(folder, { shard_index, shard_count: 2, dupe_factor: 40 });
  const stop = new AbortController();
  const work = finishRecords({
    ...flags,
    dupe_factor: 40,
    input_file: `${folder}/a.txt`,
    output_file: `${folder}/out`,
    shard_count: 2,
  }, {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("stopped")),
  });
  await assert.rejects(work, /stopped/);
  assert.deepEqual(readdirSync(folder).filter((name) => /^out($|\.)/.test(name)), []);
  rmSync(folder, { recursive: true });
});

Deno.test({
  name: "a task on a device that gets full says so, leaves the other shards, and goes on when there is room",
  ignore: !canMount,
  fn: () =>
    onDevice("20m", async (device) => {
      const folder = place();
      const output_file = `${device}/out`;
      const task = (shard_index: number) =>
        make(folder, { output_file, shard_index, shard_count: 2, dupe_factor: 20 });
      await task(0);
      const { blocks, bfree, bsize } = statfsSync(device);
      remount(device, `size=${(blocks - bfree) * bsize + 50_000}`);
      const before = readFileSync(`${output_file}-00000-of-00002`);
      await assert.rejects(task(1), /no space (is )?left on the device/);
      assert.equal(existsSync(`${output_file}-00001-of-00002.manifest.json`), false);
      assert.ok(readFileSync(`${output_file}-00000-of-00002`).equals(before));
      const merge = () => finish(folder, { output_file, shard_count: 2, dupe_factor: 20 });
      await assert.rejects(merge(), /1 of 2 shards cannot be taken \(shard 1: there is no/);
      remount(device, "size=20m");
      await task(1);
      const whole = await make(folder, { output_file: `${folder}/whole`, dupe_factor: 20 });
      assert.equal((await merge()).outputs[0]?.sha256, whole.outputs[0]?.sha256);
    }),
});
