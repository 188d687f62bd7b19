// A sample of sentences over many files: which ones depends on the sentences alone.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { loadSentencePiece, trainUnigramFiles } from "../../lib/tokenizer/mod.ts";
import { makePace } from "../../lib/tokenizer/pace.ts";
import { sampleLines, sentenceKey } from "../../lib/tokenizer/sample.ts";
import { runCommand } from "../commands/letters.ts";

const names = ["sea", "land", "sand", "wind", "rain"];
const lines = Array.from(
  { length: 3000 },
  (_, i) => `the ${names[i % 5]} of ${i % 2500} is ${i % 2 ? "wide" : "dry"}`,
);
const draw = (from: readonly string[], size: number, seed = 0): Promise<string[]> =>
  sampleLines(from, { size, seed, pace: makePace() });

Deno.test("sampleLines() draws the same sentences in the same order from any order of the lines", async () => {
  const sample = await draw(lines, 700);
  assert.equal(sample.length, 700);
  assert.deepEqual(await draw(lines.toReversed(), 700), sample);
  assert.deepEqual(await draw(["", ...lines.slice(1000), "", ...lines.slice(0, 1000)], 700), sample);
  assert.deepEqual(await draw(lines, 300), sample.slice(0, 300));
  assert.notDeepEqual(await draw(lines, 700, 1), sample);
  const all = await draw(lines, 5000);
  assert.deepEqual(all.toSorted(), lines.toSorted());
});

Deno.test("sentenceKey() spreads keys evenly over their range, for each seed alike", () => {
  for (const seed of [0, 1, -5, 2 ** 31]) {
    const keys = lines.slice(0, 2500).map((line) => sentenceKey(line, seed) / 2 ** 53);
    assert.equal(new Set(keys).size, 2500);
    const tenths = Array.from(
      { length: 10 },
      (_, t) => keys.filter((key) => Math.floor(key * 10) === t).length,
    );
    const chi = tenths.reduce((sum, count) => sum + (count - 250) ** 2 / 250, 0);
    assert.ok(chi < 33.7, `seed ${seed}: ${tenths.join()}`); // 1 in 10,000 by chance, 9 degrees of freedom
  }
});

Deno.test("tokenizer trains the same pieces on a sample of one raw file and of eight shards", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/all.txt`, lines.join("\n"));
  for (let shard = 0; shard < 8; shard++) {
    const own = lines.filter((_, i) => i % 8 === shard);
    writeFileSync(`${folder}/raw-0000${shard}-of-00008.txt`, own.join("\n\n"));
  }
  const train = (input: string, prefix: string, seed = 3): Promise<unknown> =>
    runCommand("tokenizer", [
      `--input=${input}`,
      `--model_prefix=${folder}/${prefix}`,
      "--vocab_size=60",
      "--sample_size=400",
      `--sample_seed=${seed}`,
      "--nohard_vocab_limit",
    ]);
  await train(`${folder}/all.txt`, "one");
  await train(`${folder}/raw-*.txt`, "eight");
  await train(`${folder}/all.txt`, "other", 4);
  const vocab = (prefix: string): string => readFileSync(`${folder}/${prefix}.vocab`, "utf8");
  assert.equal(vocab("eight"), vocab("one"));
  assert.notEqual(vocab("other"), vocab("one"));
  const { input } = loadSentencePiece(readFileSync(`${folder}/eight.model`)).model.trainer_spec as {
    input: string[];
  };
  assert.equal(input.length, 8);
});

Deno.test("trainUnigramFiles() refuses samples of no size", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/a.txt`, lines.join("\n"));
  const options = { input: `${folder}/a.txt`, model_prefix: `${folder}/t`, vocab_size: 60 };
  await assert.rejects(trainUnigramFiles({ ...options, sample_size: -1 }), /sample_size is -1/);
  await assert.rejects(
    trainUnigramFiles({ ...options, sample_size: 4, sample_seed: 0.5 }),
    /sample_seed 0.5/,
  );
});
