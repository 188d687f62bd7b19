import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint, type StepMetrics } from "../../lib/train/mod.ts";
import { makeRecords, ownFolder, runCommand, tokenizer, writeLetters } from "./letters.ts";

const folder = ownFolder();
writeLetters(folder, 3);
for (const max_seq_length of [8, 12]) {
  await makeRecords(folder, String(max_seq_length), { max_seq_length, dupe_factor: 2 });
}
await makeRecords(folder, "other", {
  tokenizer: { ...tokenizer, pieceOf: (id: number) => id < 5 ? tokenizer.pieceOf(id) : `_${id}` },
});

const short = { input_file: join(folder, "8.tfrecord"), max_seq_length: 8, num_train_steps: 4 };
const long = {
  input_file: join(folder, "12.tfrecord"),
  max_seq_length: 12,
  num_train_steps: 6,
  train_batch_size: 2,
  learning_rate: 0.001,
  moments: "carried",
};

async function pretrain(output: string, stages: unknown, ...args: string[]): Promise<string[]> {
  const path = join(folder, `${output}.json`);
  writeFileSync(path, JSON.stringify(stages));
  return await runCommand("pretrain", [
    ...[`--stages=${path}`, `--output_dir=${join(folder, output)}`, "--preset=tiny", "--engine=tfjs-wasm"],
    ...["--max_predictions_per_seq=2", "--train_batch_size=4", "--num_warmup_steps=1", "--log_every=2"],
    ...args,
  ]);
}

Deno.test("pretrain --stages trains them in one folder and says what each is", async () => {
  const lines = await pretrain("said", [short, long], "--nomeasure_peak");
  const all = lines.join("\n");
  assert.match(
    all,
    /stage 1: 4 steps of 4 × 8 pieces, 32 positions a step, peak rate 0.00176, warm-up 1, .* GFLOP each\n/,
  );
  assert.match(
    all,
    /stage 2: 6 steps of 2 × 12 pieces, 24 positions a step, peak rate 0.001, .*, moments carried\n/,
  );
  assert.match(all, /all 2 stages: 10 steps, 272 positions\n/);
  assert.match(all, /about \d+ kB for activations in stage 1\n/);
  assert.doesNotMatch(all, /^step: /m);
  assert.match(lines.at(-1) ?? "", /finished at step 10/);
  const { state } = readCheckpoint(join(folder, "said"));
  assert.deepEqual([state.step, state.stage?.number, state.stage?.first_step], [10, 2, 4]);
  assert.ok(state.stage?.before[0]?.hashes?.["records"] !== state.hashes?.["records"]);
  const metrics = readFileSync(join(folder, "said", "metrics.jsonl"), "utf8").trim().split("\n")
    .map((line) => JSON.parse(line) as StepMetrics);
  assert.deepEqual(metrics.map(({ step, stage }) => [step, stage]), [
    ...[[2, 1], [4, 1], [6, 2], [8, 2], [10, 2]],
  ]);
});

Deno.test("pretrain --stages refuses what does not fit before the first step", async () => {
  const refused = async (stages: unknown, message: RegExp, ...args: string[]): Promise<void> => {
    await assert.rejects(pretrain("refused", stages, ...args), message);
  };
  await refused({ max_seq_length: 8 }, /refused.json: they must be a list/);
  await refused([], /the list is empty/);
  await refused([short, { ...long, max_seq_lenght: 12 }], /stage 2 of [^]*did you mean max_seq_length/);
  await refused([short, { ...long, seed: 3 }], /stage 2 of [^]*seed is no known key/);
  await refused([short, { ...long, moments: "kept" }], /moments must be one of "fresh", "carried"/);
  await refused([short, { ...long, max_seq_length: 10 }], /they were made with max_seq_length 12/);
  await refused([short, { ...long, max_seq_length: 65 }], /max_position_embeddings 64/);
  await refused([short, { ...long, input_file: join(folder, "other.tfrecord") }], /made with 2 tokenizers/);
  await refused([short, { ...long, input_file: undefined }], /--input_file must be given/);
});

Deno.test("pretrain --stages says the least time of every stage and of all", async () => {
  const lines = await pretrain("timed", [short, long]);
  const timed = lines.filter((line) => /^(stage \d|all 2 stages): .* \d+ s at the least$/.test(line));
  assert.equal(timed.length, 3, lines.join("\n"));
});
