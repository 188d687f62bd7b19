import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { pid } from "node:process";
import { CorruptFileError } from "../../lib/formats/mod.ts";
import {
  createRecords,
  decodeExample,
  readRecords,
  readTfrecords,
  type RecordArrays,
  type RecordsReport,
  type RecordsTokenizer,
} from "../../lib/records/mod.ts";
import type { Progress } from "../../lib/progress.ts";
import { generators } from "../../lib/tasks/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { loadWordPiece } from "../../lib/tokenizer/wordpiece.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenEncoder, goldenPipeline, listVocabulary } from "../tasks/golden_tasks.ts";

const golden = goldenPipeline();
const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
const sentencePiece = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")), {
  spm_version: "0.2.2",
});
const wordPiece = loadWordPiece(golden.vocab_wordpiece.join("\n"));
const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);

/** Writes the golden raw files and returns the folder. */
function rawFolder(): string {
  const place = folder();
  for (const [name, text] of Object.entries(golden.input_files)) writeFileSync(`${place}/${name}`, text);
  for (const [name, base64] of Object.entries(golden.input_files_base64)) {
    writeFileSync(`${place}/${name}`, base64, "base64");
  }
  return place;
}

/** The record without its padding, after checking the padding. */
function unpadded(record: RecordArrays): unknown {
  const length = record.input_mask.indexOf(0) < 0 ? record.input_mask.length : record.input_mask.indexOf(0);
  const none = record.masked_lm_weights.indexOf(0);
  const count = none < 0 ? record.masked_lm_weights.length : none;
  const boundary = record.token_boundary ?? assert.fail("no token_boundary");
  for (const list of [record.input_ids, record.input_mask, record.segment_ids, boundary]) {
    assert(list.subarray(length).every((value) => value === 0));
  }
  for (const list of [record.masked_lm_positions, record.masked_lm_ids, record.masked_lm_weights]) {
    assert(list.subarray(count).every((value) => value === 0));
  }
  return {
    input_ids: [...record.input_ids.subarray(0, length)],
    sep: record.segment_ids.indexOf(1),
    boundary: boundary.subarray(0, length).join(""),
    positions: [...record.masked_lm_positions.subarray(0, count)],
    ids: [...record.masked_lm_ids.subarray(0, count)],
    label: record.next_sentence_labels[0],
  };
}

for (const [name, run] of Object.entries(golden.configs)) {
  Deno.test(`createRecords() repeats the reference from raw file to record when run as ${name}`, async () => {
    const place = rawFolder();
    const shards = [0, 1, 2].map((shard) => `${place}/out-${shard}.tfrecord`);
    const random = generators(BigInt(run.flags.random_seed), run.numpy_seed);
    const { random_seed, ...flags } = run.flags;
    const report = await createRecords({
      ...flags,
      random_seed: BigInt(random_seed),
      numpy_seed: run.numpy_seed,
      input_file: run.files.map((file) => `${place}/${file}`).join(","),
      output_file: shards.join(","),
      tokenizer: run.bert ? wordPiece : sentencePiece,
    }, { random });
    assert.equal(report.instances, run.n);
    assert.equal(report.pairs.random + report.pairs.swapped, run.positives);
    const lengths = {
      maxSeqLength: flags.max_seq_length,
      maxPredictionsPerSeq: flags.max_predictions_per_seq * (flags.do_permutation ? 2 : 1),
    };
    const records: unknown[] = [];
    for (const [shard, path] of shards.entries()) {
      let place = shard;
      for await (const record of readRecords([path], lengths)) {
        records[place] = unpadded(record);
        place += 3;
      }
    }
    assert.equal(records.length, run.n);
    assert.deepEqual(records.slice(0, run.records.length), run.records);
    const after = { python_random: random.python.random(), numpy_random: random.numpy.uniform() };
    assert.deepEqual(after, run.after);
  });
}

const small = { max_seq_length: 32, max_predictions_per_seq: 5, dupe_factor: 2 } as const;

Deno.test("createRecords() makes the same records with Google's own encoder", async () => {
  const place = rawFolder();
  const tokenizer: RecordsTokenizer = {
    ...listVocabulary(golden.vocab_spm),
    encode: await goldenEncoder(model),
  };
  const input_file = `${place}/corpus.txt,${place}/corpus2.txt`;
  const ours = await createRecords({
    ...small,
    input_file,
    output_file: `${place}/a`,
    tokenizer: sentencePiece,
  });
  const theirs = await createRecords({ ...small, input_file, output_file: `${place}/b`, tokenizer });
  assert.equal(ours.outputs[0]?.sha256, theirs.outputs[0]?.sha256);
});

Deno.test("createRecords() writes a manifest that agrees with the files, and reports progress", async () => {
  const place = rawFolder();
  const seen: Progress[] = [];
  const report = await createRecords({
    ...small,
    input_file: `${place}/corpus*.txt`,
    output_file: `${place}/a.tfrecord,${place}/b.tfrecord`,
    tokenizer: sentencePiece,
    tokenizer_sha256: "abc",
  }, { onProgress: (progress) => seen.push(progress) });
  const manifest = JSON.parse(readFileSync(`${place}/a.tfrecord.manifest.json`, "utf8"));
  assert.equal(report.manifest, `${place}/a.tfrecord.manifest.json`);
  assert.deepEqual(report.inputs.map(({ path }) => path), [`${place}/corpus.txt`, `${place}/corpus2.txt`]);
  assert.deepEqual(manifest.outputs, report.outputs);
  assert.equal(manifest.counts.instances, report.instances);
  assert.deepEqual([manifest.flags.max_seq_length, manifest.flags.numpy_seed], [32, 12345]);
  assert.equal(manifest.tokenizer.model_sha256, "abc");
  for (const { path, bytes, sha256 } of [...report.inputs, ...report.outputs]) {
    const content = readFileSync(path);
    assert.equal(content.length, bytes);
    assert.equal(createHash("sha256").update(content).digest("hex"), sha256);
  }
  assert.equal(report.outputs.reduce((sum, { records }) => sum + (records ?? 0), 0), report.instances);
  for (const stage of ["records: tokenize", "records: instances", "records: write"]) {
    const last = seen.findLast((progress) => progress.stage === stage) ?? assert.fail(stage);
    assert.equal(last.done, last.total);
  }
});

Deno.test("createRecords() writes the same bytes when run again, others with another seed", async () => {
  const place = rawFolder();
  const hash = async (seeds: { random_seed?: number; numpy_seed?: number }): Promise<string | undefined> => {
    const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord` };
    return (await createRecords({ ...small, ...files, ...seeds, tokenizer: sentencePiece })).outputs[0]
      ?.sha256;
  };
  const first = await hash({});
  assert.equal(await hash({ random_seed: 12345, numpy_seed: 12345 }), first);
  assert.notEqual(await hash({ random_seed: 1 }), first);
  assert.notEqual(await hash({ numpy_seed: 1 }), first);
});

Deno.test("createRecords() derives NumPy's seed and the number of predictions when told so", async () => {
  const place = rawFolder();
  const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord` };
  const flags = async (options: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const { manifest } = await createRecords({ ...small, ...files, ...options, tokenizer: sentencePiece });
    return JSON.parse(readFileSync(manifest, "utf8")).flags;
  };
  assert.equal((await flags({ derive_numpy_seed: true }))["numpy_seed"], 1789368711); // 32 bits of seed 12345
  assert.equal((await flags({ mask_budget: "prob" }))["max_predictions_per_seq"], 5); // 32 x 0.15
  assert.equal((await flags({ mask_budget: "prob", masked_lm_prob: 0.5 }))["max_predictions_per_seq"], 16);
});

/** Runs into an error and returns it, after checking that no file was left. */
async function failure(place: string, options: Record<string, unknown>): Promise<Error> {
  const before = readdirSync(place);
  const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord,${place}/b.tfrecord` };
  try {
    await createRecords({ ...small, ...files, tokenizer: sentencePiece, ...options });
  } catch (error) {
    assert(error instanceof Error);
    assert.deepEqual(readdirSync(place), before);
    return error;
  }
  return assert.fail("no error");
}

Deno.test("createRecords() names the pattern, file, byte or flag when something is wrong, and leaves no file", async () => {
  const place = rawFolder();
  const message = async (options: Record<string, unknown>): Promise<string> =>
    (await failure(place, options)).message;
  assert.match(
    await message({ input_file: `${place}/corpus.txt,${place}/no*.txt` }),
    /"[^"]*no\*\.txt" matches no file/,
  );
  assert.match(
    await message({ input_file: `${place}/corpus.txt, x` }),
    /" x" matches no file; a blank beside the comma/,
  );
  assert.match(await message({ input_file: `${place}/corpus.txt/x` }), /matches no file/);
  writeFileSync(`${place}/empty.txt`, " \n\n\u0301\n");
  assert.match(
    await message({ input_file: `${place}/empty.txt` }),
    /no document with a sentence in .*empty\.txt/,
  );
  assert.match(
    await message({ max_seq_length: 3, masked_lm_prob: -1 }),
    /max_seq_length is 3.*masked_lm_prob is -1/,
  );
  assert.match(await message({ output_file: `${place}/corpus.txt` }), /corpus\.txt is an input/);
  assert.match(await message({ output_file: `${place}/c,${place}/c` }), /stands there twice/);
  assert.match(await message({ output_file: `${place}/corpus.txt/a` }), /a file is where a folder is needed/);
  assert.match(await message({ output_file: place }), /is a folder; name a file in it/);
  assert.match(await message({ numpy_seed: -1 }), /NumPy/);
  assert.match(await message({ shard_index: 2, shard_count: 2 }), /shard_index is 2 of shard_count 2/);
  assert.match(await message({ shard_index: 400, shard_count: 500 }), /no document .*for shard 400 of 500/);
  const text = new TextEncoder().encode("ä\ufffd\n".repeat(300_000));
  text[1_500_000] = 0xff; // where a line begins, behind many a genuine U+FFFD
  writeFileSync(`${place}/bad.txt`, text);
  const error = await failure(place, { input_file: `${place}/bad.txt` });
  assert(error instanceof CorruptFileError);
  assert.deepEqual(error.place, { path: `${place}/bad.txt`, byte: 1_500_000 });
  assert.match(error.message, /invalid UTF-8 at byte 1500000; convert the file/);
});

Deno.test("createRecords() refuses a tokenizer without specials, and to replace a file that holds no records", async () => {
  const place = rawFolder();
  const lacking = {
    ...sentencePiece,
    idOf: (piece: string) => piece.startsWith("[") ? 1 : sentencePiece.idOf(piece),
  };
  assert.match(
    (await failure(place, { tokenizer: lacking })).message,
    /the tokenizer has no \[CLS\], \[SEP\], \[MASK\]; train it with --control_symbols/,
  );
  const text = `${place}/precious.txt`;
  writeFileSync(text, "a text that nobody can make again");
  assert.match(
    (await failure(place, { output_file: text })).message,
    /exists and is no TFRecord file.*--overwrite/,
  );
  const files = { input_file: `${place}/corpus.txt`, output_file: text };
  await createRecords({ ...small, ...files, tokenizer: sentencePiece, overwrite: true });
  await createRecords({ ...small, ...files, tokenizer: sentencePiece }); // records may be replaced
});

for (const order of ["reference", "stream"] as const) {
  Deno.test(`createRecords() in ${order} order notes one document, long sentences and nothing else`, async () => {
    const place = rawFolder();
    const text = golden.input_files["corpus.txt"] ?? "";
    const notes = async (content: string, options: Record<string, unknown> = {}): Promise<string> => {
      writeFileSync(`${place}/x.txt`, content);
      const lines: string[] = [];
      const files = {
        input_file: `${place}/x.txt`,
        output_file: `${place}/a.tfrecord`,
        order,
        overwrite: true,
      };
      await createRecords({ ...small, max_seq_length: 512, ...files, ...options, tokenizer: sentencePiece }, {
        onWarning: (line) => void lines.push(line),
      });
      return lines.join("|");
    };
    assert.equal(await notes(text), "");
    assert.match(
      await notes(text.replace(/\n\s*\n/g, "\n")),
      /^no blank line between sentences: all \d+ are one document/,
    );
    assert.match(await notes(text, { max_seq_length: 12 }), /^\d+ of \d+ sentences have more than 9 pieces/);
  });
}

Deno.test("createRecords() stops and leaves no file when the signal says so", async () => {
  const place = rawFolder();
  writeFileSync(`${place}/long.txt`, (golden.input_files["corpus.txt"] ?? "").repeat(60));
  const files = { input_file: `${place}/long.txt`, output_file: `${place}/a.tfrecord` };
  const stop = new AbortController();
  const before = readdirSync(place);
  const work = createRecords({ ...small, ...files, tokenizer: sentencePiece }, {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("stopped")),
  });
  await assert.rejects(work, /stopped/);
  assert.deepEqual(readdirSync(place), before);
});

Deno.test("createRecords() replaces an old manifest", async () => {
  const place = rawFolder();
  const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord,${place}/b.tfrecord` };
  writeFileSync(`${place}/a.tfrecord.manifest.json`, "old");
  await createRecords({ ...small, ...files, tokenizer: sentencePiece });
  assert.notEqual(readFileSync(`${place}/a.tfrecord.manifest.json`, "utf8"), "old");
  assert(existsSync(`${place}/b.tfrecord`));
});

Deno.test("createRecords() writes records that the general reader takes too", async () => {
  const place = rawFolder();
  const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord` };
  await createRecords({ ...small, ...files, tokenizer: sentencePiece, do_permutation: true });
  for await (const { data } of readTfrecords(`${place}/a.tfrecord`)) {
    const example = decodeExample(data);
    assert.equal(example["masked_lm_ids"]?.values.length, 10);
    assert.equal(example["input_ids"]?.values.length, 32);
  }
});

Deno.test("createRecords() deals the documents out when the corpus is shared by shards", async () => {
  const place = rawFolder();
  const input_file = `${place}/corpus.txt,${place}/corpus2.txt`;
  const made = (options: { shard_index?: number; shard_count?: number }): Promise<RecordsReport> =>
    createRecords({ ...small, ...options, input_file, output_file: `${place}/a`, tokenizer: sentencePiece });
  const whole = await made({});
  const shards = [0, 1, 2].map((shard_index) => ({ shard_index, shard_count: 3 }));
  const sum = { documents: 0, sentences: 0, pieces: 0 };
  for (const shard of shards) {
    const { documents, sentences, pieces } = await made(shard);
    assert.equal(documents, whole.documents / 3);
    sum.documents += documents;
    sum.sentences += sentences;
    sum.pieces += pieces;
  }
  assert.deepEqual(sum, { documents: whole.documents, sentences: whole.sentences, pieces: whole.pieces });
});

Deno.test("createRecords() says so and leaves no file when the device is full", async () => {
  if (!existsSync("/dev/full")) return;
  const place = rawFolder();
  symlinkSync("/dev/full", `${place}/b.tfrecord.tmp-${pid}`); // every write to it fails as on a full device
  const files = { input_file: `${place}/corpus.txt`, output_file: `${place}/a.tfrecord,${place}/b.tfrecord` };
  const work = createRecords({ ...small, ...files, tokenizer: sentencePiece });
  await assert.rejects(work, /Cannot write .*b\.tfrecord: no space left on the device/);
  assert.deepEqual(readdirSync(place).filter((name) => /^[ab]\.tf/.test(name)), []);
});
