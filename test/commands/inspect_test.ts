import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync } from "node:zlib";
import { inspect } from "../../lib/commands/inspect.ts";
import { chartFile, inspectRecords } from "../../lib/commands/inspect_records.ts";
import { createRecords, encodeExample, type RecordsReport, tfrecordWriter } from "../../lib/records/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

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

type Options = Parameters<typeof inspectRecords>[1];

/** Runs, and gives the lines that were printed, also when it fails. */
async function run(
  path: string,
  options: Partial<Options> = {},
): Promise<{ lines: string[]; error?: Error }> {
  const lines: string[] = [];
  const all = { limit: 1, json: false, skipDamaged: false, tokenizer, ...options };
  const context = {
    print: (line = "") => void lines.push(line),
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
  };
  try {
    await inspectRecords(path, all, context);
    return { lines };
  } catch (error) {
    return { lines, error: error as Error };
  }
}

async function printed(path: string, options: Partial<Options> = {}): Promise<string[]> {
  const { lines, error } = await run(path, options);
  if (error !== undefined) throw error;
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

/**
 * The reference's own file of the golden configuration `default_like` in one piece, its keys in the order that its
 * protobuf happened to give, and what it logged of the first 20 instances (without the prefix of the logger).
 */
const original = new URL("../golden/albert/original.tfrecord.gz", import.meta.url).pathname;
const originalLog = gunzipSync(
  readFileSync(new URL("../golden/albert/original-log.txt.gz", import.meta.url)),
);

Deno.test("inspect prints what the reference logged, of the reference's file and of ours", async () => {
  const bytes = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
  const sentencePiece = loadSentencePiece(new Uint8Array(Buffer.from(bytes, "base64")));
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const { input_files, configs } = goldenPipeline();
  for (const [name, text] of Object.entries(input_files)) writeFileSync(`${folder}/${name}`, text);
  const input_file = `${folder}/corpus.txt,${folder}/corpus2.txt`;
  const ours = `${folder}/a.tfrecord`;
  const flags = { max_seq_length: 64, max_predictions_per_seq: 10, dupe_factor: 2 };
  await createRecords({ ...flags, input_file, output_file: ours, tokenizer: sentencePiece });
  const figures: string[][] = [];
  for (const path of [original, ours]) {
    const lines = await printed(path, { limit: 20, tokenizer: sentencePiece });
    const from = lines.indexOf("*** Example ***");
    assert.equal(`${lines.slice(from, from + 200).join("\n")}\n`, originalLog.toString("utf8"));
    assert(lines.includes(`${path}: ${configs["default_like"]?.n} records`));
    assert.equal(lines.filter((line) => /^record \d/.test(line)).length, 1, "one shape, in whatever order");
    figures.push(lines.slice(from + 201, -2));
  }
  assert.deepEqual(figures[0], figures[1]);
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
  const alone = JSON.parse((await printed(path, { json: true, tokenizer: undefined, limit: 0 }))[0] ?? "");
  assert.deepEqual({ ...alone, instances: 0 }, { ...found, instances: 0 });
});

Deno.test("inspect names damage, skips it when told so, and sees that the manifest differs", async () => {
  const { path, report } = await made();
  const bytes = readFileSync(path);
  bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await assert.rejects(printed(path), /Cannot read record \d+ of .*data checksum/);
  const { lines, error } = await run(path, { skipDamaged: true, tokenizer: undefined });
  assert.match(String(error), /Cannot trust .*its content is not what its manifest says.*it has \d+ records/);
  assert(lines.some((line) => line.endsWith(`${report.instances - 1} records, 1 damaged places skipped`)));
});

/** The manifest with something else in it. */
function rewrite(report: RecordsReport, change: (manifest: ManifestText) => void): void {
  const manifest = JSON.parse(readFileSync(report.manifest, "utf8")) as ManifestText;
  change(manifest);
  writeFileSync(report.manifest, JSON.stringify(manifest));
}
type ManifestText = {
  counts: { predictions: number; pairs: { next: number; swapped: number } };
  flags: { max_seq_length: number };
  outputs: { path: string; records: number }[];
};

Deno.test("inspect compares every count with the manifest, and the tokenizer that it is given", async () => {
  const { path, report } = await made();
  const changes: [string, (manifest: ManifestText) => void][] = [
    ["records, its manifest says 1;", ({ outputs: [output] }) => void (output && (output.records = 1))],
    ["predictions, its manifest says 5;", ({ counts }) => void (counts.predictions = 5)],
    ["labels 0, its manifest says -1;", ({ counts: { pairs } }) => void (pairs.next = -1)],
    ["labels 1, its manifest says", ({ counts: { pairs } }) => void pairs.swapped++],
    ["40 tokens, its manifest says 64;", ({ flags }) => void (flags.max_seq_length = 64)],
  ];
  const whole = readFileSync(report.manifest);
  for (const [words, change] of changes) {
    rewrite(report, change);
    assert.match(String((await run(path)).error), new RegExp(words));
    writeFileSync(report.manifest, whole);
  }
  const other = { ...tokenizer, pieceOf: (id: number) => id === 9 ? "▁other" : tokenizer.pieceOf(id) };
  const lines = await printed(path, { tokenizer: other });
  assert(lines.some((line) => line.includes("made with another tokenizer than the one given")));
});

Deno.test("inspect finds the manifest by the second output's name, and takes a copy for what it is", async () => {
  const { path } = await made();
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const outputs = [`${folder}/a.tfrecord`, `${folder}/b.tfrecord`];
  const flags = { max_seq_length: 40, input_file: path.replace("a.tfrecord", "raw.txt"), dupe_factor: 1 };
  await createRecords({ ...flags, output_file: outputs.join(","), tokenizer });
  assert((await printed(outputs[1] ?? "")).some((line) => line.endsWith("a.tfrecord.manifest.json agrees")));
  const copy = mkdtempSync(`${tmpdir()}/albert-`);
  for (const name of ["b.tfrecord", "a.tfrecord.manifest.json"]) {
    cpSync(`${folder}/${name}`, `${copy}/${name}`);
  }
  const alone = await printed(`${copy}/b.tfrecord`);
  assert(
    alone.some((line) => /note: of the same run, not beside it: .*\/a\.tfrecord$/.test(line)),
    alone.join("\n"),
  );
  cpSync(`${folder}/a.tfrecord`, `${copy}/b.tfrecord`); // the run's own b.tfrecord is still whole elsewhere
  assert.match(String((await run(`${copy}/b.tfrecord`)).error), /Cannot trust .*b\.tfrecord: it/);
  cpSync(`${folder}/a.tfrecord`, `${copy}/c.tfrecord`);
  assert((await printed(`${copy}/c.tfrecord`)).includes("  no manifest beside it names this file"));
});

Deno.test("inspect draws the figures into a named file, or one for each file into a folder", async () => {
  const { path } = await made();
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  assert.equal(chartFile("x.svg", path, 1), "x.svg");
  assert.equal(chartFile(folder, path, 2), `${folder}/a.tfrecord.svg`);
  assert.throws(() => chartFile("x.svg", path, 2), /Cannot draw 2 files into x\.svg: name a folder/);
  const lines = await printed(path, { chart: `${folder}/new/figures.svg` });
  assert(lines.includes(`  chart: ${folder}/new/figures.svg`));
  const svg = readFileSync(`${folder}/new/figures.svg`, "utf8");
  for (
    const title of [
      "Records, by tokens",
      "Predicted, by position",
      "Words predicted",
      "Labels",
      "ids used",
    ]
  ) {
    assert(svg.includes(title), title);
  }
});

Deno.test("inspect shows Examples of another kind, their shape once, and gives no figures", async () => {
  const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`;
  const writer = tfrecordWriter(path);
  for (let i = 0; i < 3; i++) {
    const big = { type: "int64_list", values: [2n ** 60n + BigInt(i)] } as const;
    writer.write(encodeExample({ label: big, text: { type: "bytes_list", values: [Uint8Array.of(i)] } }));
  }
  writer.commit();
  const lines = await printed(path);
  assert.equal(lines.filter((line) => line.startsWith("record ")).length, 1);
  assert(lines.some((line) => /no figures.*record 0 at byte 0 has no input_ids, input_mask/.test(line)));
  assert.deepEqual(JSON.parse((await printed(path, { json: true }))[0] ?? "").instances, [
    { label: ["1152921504606846976"], text: [[0]] },
  ]);
  assert.match(String((await run(path, { chart: "x.svg" })).error), /Cannot draw .* there are no figures/);
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
