import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { inspect } from "../../lib/commands/inspect.ts";
import { inspectRecords } from "../../lib/commands/inspect_records.ts";
import { createRecords, type RecordsReport } from "../../lib/records/mod.ts";

const pieces = [
  "<pad>",
  "<unk>",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  ..."abcdefghijklmnopqrst".split("").map((c) => `▁${c}`),
];
const tokenizer = {
  size: pieces.length,
  idOf: (piece: string): number => Math.max(1, pieces.indexOf(piece)),
  pieceOf: (id: number): string => pieces[id] ?? "",
  encode: (text: string): string[] => text.split(" ").map((word) => `▁${word}`),
};

async function made(): Promise<{ path: string; report: RecordsReport }> {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const line = (i: number): string => "abcdefghijklmnopqrst".slice(i % 13, i % 13 + 7).split("").join(" ");
  const lines = Array.from({ length: 400 }, (_, i) => i % 20 === 19 ? "" : line(i));
  writeFileSync(`${folder}/raw.txt`, lines.join("\n"));
  const path = `${folder}/a.tfrecord`;
  const flags = { max_seq_length: 40, dupe_factor: 6, ngram: 1 };
  return {
    path,
    report: await createRecords({ ...flags, input_file: `${folder}/raw.txt`, output_file: path, tokenizer }),
  };
}

async function printed(
  path: string,
  options: Partial<Parameters<typeof inspectRecords>[1]> = {},
): Promise<string[]> {
  const lines: string[] = [];
  const all = { limit: 1, json: false, skipDamaged: false, pieces: tokenizer, ...options };
  await inspectRecords(path, all, (line = "") => void lines.push(line));
  return lines;
}

Deno.test("inspect prints the reference's log and the figures of records", async () => {
  const { path, report } = await made();
  const lines = await printed(path);
  const log = lines.slice(lines.indexOf("*** Example ***"));
  assert.match(log[1] ?? "", /^tokens: \[CLS\] ▁?/);
  assert.deepEqual(log.slice(2, 10).map((line) => line.split(":")[0]), [
    ...["input_ids", "input_mask", "segment_ids", "token_boundary"],
    ...["masked_lm_positions", "masked_lm_ids", "masked_lm_weights", "next_sentence_labels"],
  ]);
  assert.match(log[8] ?? "", /^masked_lm_weights: 1\.0 1\.0 .*0\.0$/);
  assert(lines.some((line) => line.includes(`${report.instances} records`)));
  assert(lines.some((line) => line.endsWith("manifest.json agrees")));
});

Deno.test("inspect --json gives the figures to programs, with and without a tokenizer", async () => {
  const { path, report } = await made();
  const [text = "", ...more] = await printed(path, { json: true });
  assert.deepEqual(more, []);
  const found = JSON.parse(text);
  assert.equal(found.records, report.instances);
  assert.equal(found.predictions.mean * found.records, report.predictions);
  assert.deepEqual(found.labels, [report.pairs.next, report.pairs.swapped + report.pairs.random]);
  assert(Math.abs(found.replacements.mask - 0.8) < 0.05 && Math.abs(found.replacements.kept - 0.1) < 0.05);
  assert(Math.abs(found.maskRate - 0.15) < 0.01 && found.maskRateByWordLength[0] > 0.1);
  assert.equal(found.maskId, 4);
  assert.equal(found.instances.length, 1);
  const alone = JSON.parse((await printed(path, { json: true, pieces: undefined, limit: 0 }))[0] ?? "");
  assert.deepEqual({ ...alone, instances: 0 }, { ...found, instances: 0 });
});

Deno.test("inspect names damage, skips it when told so, and sees that the manifest differs", async () => {
  const { path, report } = await made();
  const bytes = readFileSync(path);
  bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await assert.rejects(printed(path), /Cannot read record \d+ of .*data checksum/);
  const lines: string[] = [];
  const options = { limit: 0, json: false, skipDamaged: true, pieces: undefined };
  await assert.rejects(
    inspectRecords(path, options, (line = "") => void lines.push(line)),
    /Cannot trust .*its content is not what its manifest says/,
  );
  assert(lines.some((line) => line.endsWith(`${report.instances - 1} records, 1 damaged places skipped`)));
});

Deno.test("inspect shows a TensorFlow checkpoint's variables by folder, prefix or file, and names damage", async () => {
  const golden = new URL("../golden/tf", import.meta.url).pathname;
  const shown = async (path: string): Promise<string[]> => {
    const lines: string[] = [];
    const context = {
      print: (line = "") => void lines.push(line),
      onProgress: () => {},
      endProgress: () => Promise.resolve(),
      signal: new AbortController().signal,
    };
    await inspect.run({ limit: 3, json: false, skip_damaged: false }, [path], context);
    return lines;
  };
  const lines = await shown(golden);
  assert(lines.includes("  bert/pooler/dense/kernel\tF32\t[8, 8]"), lines.join("\n"));
  assert(lines.includes("  parted\tF32\t[4, 2]\tin parts"));
  assert.match(
    lines.at(-1) ?? "",
    /model\.ckpt-7: TensorFlow checkpoint, 11 variables, every number checked$/,
  );
  for (const file of ["model.ckpt-7", "model.ckpt-7.index", "model.ckpt-7.data-00001-of-00002"]) {
    assert.deepEqual(await shown(`${golden}/${file}`), lines);
  }
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  cpSync(golden, folder, { recursive: true });
  const data = `${folder}/model.ckpt-7.data-00000-of-00002`;
  const bytes = readFileSync(data);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(data, bytes);
  await assert.rejects(shown(folder), /Cannot read bert\/embeddings\/word_embeddings from .*the checksum/);
});
