// What `albert pretrain` refuses, through the command line: the exit code, one line that names the mistake, nothing else.
import assert from "node:assert/strict";
import { copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { main } from "../../lib/cli.ts";
import { albertConfigToJson, albertPreset } from "../../lib/config/mod.ts";
import { makeRecords, modelOf, ownFolder, writeLetters } from "./letters.ts";

const folder = ownFolder();
const at = (name: string): string => join(folder, name);

async function setup(): Promise<void> {
  writeLetters(folder, 9);
  writeFileSync(at("some.model"), "the bytes of a tokenizer");
  // [MASK] stands where most tokenizers have [CLS].
  writeFileSync(at("moved.model"), modelOf(["<pad>", "<unk>", "[MASK]", "[SEP]", "[CLS]", "▁a"]));
  const { vocab_size: _, ...tiny } = JSON.parse(albertConfigToJson(albertPreset("tiny")));
  for (const vocab_size of [13, 12]) {
    writeFileSync(at(`config${vocab_size}.json`), JSON.stringify({ ...tiny, vocab_size }));
  }
  writeFileSync(at("short.json"), JSON.stringify({ ...tiny, vocab_size: 13, max_position_embeddings: 8 }));
  await makeRecords(folder, "train", { tokenizer_sha256: "00".repeat(32), dupe_factor: 4 });
  copyFileSync(at("train.tfrecord"), at("bare.tfrecord")); // no manifest vouches for it
  // A folder of records with one that was damaged after it was written.
  for (const name of ["one", "two", "three"]) {
    cpSync(at("train.tfrecord"), join(folder, "damaged", `${name}.tfrecord`), { recursive: true });
  }
  const bytes = readFileSync(at("train.tfrecord"));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(join(folder, "damaged", "two.tfrecord"), bytes);
}
await setup();

const usual: Readonly<Record<string, string>> = {
  input_file: at("train.tfrecord"),
  output_dir: at("none"),
  albert_config_file: at("config13.json"),
  max_seq_length: "12",
  max_predictions_per_seq: "2",
  train_batch_size: "4",
  num_train_steps: "4",
  num_warmup_steps: "1",
  engine: "tfjs-wasm",
  measure_peak: "false",
};

type Outcome = { readonly code: number; readonly out: string; readonly err: string };

/** The command line in this process, with what it wrote. */
async function albert(changes: Readonly<Record<string, string | undefined>>): Promise<Outcome> {
  const args = Object.entries({ ...usual, ...changes }).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}=${value}`]
  );
  const written = { out: "", err: "" };
  const catching = (stream: NodeJS.WriteStream, into: "out" | "err") => {
    const { write } = stream;
    stream.write = (text: string | Uint8Array) => {
      written[into] += typeof text === "string" ? text : new TextDecoder().decode(text);
      return true;
    };
    return () => void (stream.write = write);
  };
  const restore = [catching(process.stdout, "out"), catching(process.stderr, "err")];
  try {
    const code = await main(["pretrain", ...args]);
    return { code, ...written };
  } finally {
    restore.forEach((back) => back());
  }
}

const cases: readonly (readonly [string, 1 | 2, Readonly<Record<string, string | undefined>>, RegExp])[] = [
  ["a batch of 0", 2, { train_batch_size: "0" }, /train_batch_size must be at least 1/],
  ["two wrong values", 2, { train_batch_size: "0", optimizer: "sgd" }, /train_batch_size.*; .*optimizer/],
  ["predictions beyond the length", 2, { max_predictions_per_seq: "13" }, /at most max_seq_length/],
  ["early_stop without evaluations", 2, { early_stop: "2" }, /eval_every must be at least 1/],
  ["neither training nor evaluation", 2, { do_train: "false" }, /do_train or do_eval must be true/],
  ["masked_lm_budget", 2, { masked_lm_budget: "0.1" }, /masked_lm_budget must be 0/],
  ["an unknown preset", 2, { albert_config_file: undefined, preset: "huge" }, /huge.*known|preset/],
  ["no architecture", 2, { albert_config_file: undefined }, /give --albert_config_file or --preset/],
  ["no records", 2, { input_file: undefined }, /--input_file must be given/],
  ["no place", 2, { output_dir: undefined }, /--output_dir must be given/],
  ["a device that is not there", 2, { device: "gpu:7" }, /--device=gpu:7: the engine tfjs-wasm runs on/],
  [
    "bfloat16 on tfjs",
    2,
    { compute_dtype: "bfloat16" },
    /Cannot train in bfloat16: the engine tfjs-wasm has no/,
  ],
  [
    "the usual id of [MASK], given where the tokenizer has another",
    2,
    { mask_token_id: "4", spm_model_file: at("moved.model") },
    /--mask_token_id is 4, \[MASK\] is 2 in .*moved\.model/,
  ],
  [
    "held-out records that are not there",
    1,
    { eval_input_file: at("no_held_out.tfrecord") },
    /Cannot read eval_input_file: .*no_held_out\.tfrecord.*; write the records first/,
  ],
  ["a glob without a file", 1, { input_file: at("*.nothing") }, /matches no file/],
  ["a file that is not there", 1, { input_file: at("nothing.tfrecord") }, /nothing\.tfrecord/],
  [
    "a length beyond the position table",
    1,
    { albert_config_file: at("short.json") },
    /max_position_embeddings 8/,
  ],
  [
    "another length",
    1,
    { max_seq_length: "16" },
    /max_seq_length 12, this run says 16; give --max_seq_length=12/,
  ],
  ["other predictions", 1, { max_predictions_per_seq: "3" }, /give --max_predictions_per_seq=2/],
  [
    "a small vocabulary",
    1,
    { albert_config_file: at("config12.json") },
    /has 13 pieces, the model's vocab_size is 12/,
  ],
  ["another tokenizer", 1, { spm_model_file: at("some.model") }, /Cannot use the tokenizer .*some\.model/],
  ["another [MASK]", 1, { mask_token_id: "9" }, /id 4 stands at \d+ of \d+ .* give --mask_token_id=4/],
  [
    "another length, nothing vouched",
    1,
    { input_file: at("bare.tfrecord"), max_seq_length: "16" },
    /bare\.tfrecord.*input_ids/,
  ],
  [
    "a small vocabulary, nothing vouched",
    1,
    { input_file: at("bare.tfrecord"), albert_config_file: at("config12.json") },
    /bare\.tfrecord: record \d+ holds the id 12, the model's vocab_size is 12/,
  ],
  [
    "one damaged file of three",
    1,
    { input_file: join(folder, "damaged", "*.tfrecord") },
    /record \d+ of .*two\.tfrecord.*checksum.* at byte \d+/,
  ],
  ["a start that is not there", 1, { init_checkpoint: at("nowhere") }, /nowhere/],
];

for (const [what, code, changes, says] of cases) {
  Deno.test(`albert pretrain refuses ${what} with ${code} in one line`, async () => {
    const outcome = await albert(changes);
    assert.match(outcome.err, says);
    assert.equal(outcome.code, code, outcome.err);
    assert.equal(outcome.err.trim().split("\n").length, 1, outcome.err);
    assert.equal(outcome.out, ""); // nothing is said of a run that will not be
  });
}

Deno.test("albert pretrain refuses a changed flag, another architecture and a second trainer, and loses nothing", async () => {
  const output_dir = at("kept");
  const { code, err, out } = await albert({ output_dir });
  assert.equal(code, 0, err);
  assert.match(out, /step 4: loss \d.*, MLM .*accuracy .*, SOP \d\.\d+ \(accuracy \d\.\d+\), rate/);
  const wide = { ...JSON.parse(readFileSync(at("config13.json"), "utf8")), hidden_act: "relu" };
  writeFileSync(at("wide.json"), JSON.stringify(wide));
  const names = readdirSync(output_dir);
  for (
    const [changes, says] of [
      [{ seed: "3" }, /seed was 12345 and is 3; .*--allow_changed_flags/],
      [
        { albert_config_file: at("wide.json") },
        /another architecture: hidden_act was "gelu" and is "relu"; choose/,
      ],
    ] as const
  ) {
    const refused = await albert({ output_dir, ...changes });
    assert.deepEqual([refused.code, refused.out], [1, ""], refused.err);
    assert.match(refused.err, says);
  }
  writeFileSync(join(output_dir, "train.lock"), "1 elsewhere\n");
  const second = await albert({ output_dir });
  assert.deepEqual([second.code, second.out], [1, ""]);
  assert.match(second.err, /process 1 on elsewhere is training there/);
  rmSync(join(output_dir, "train.lock"));
  assert.deepEqual(readdirSync(output_dir), names);
});

Deno.test("albert pretrain remarks a warm-up that never ends and a stop behind the end", async () => {
  const output_dir = at("odd");
  const { code, out } = await albert({ output_dir, num_warmup_steps: "4", stop_after_steps: "5" });
  assert.equal(code, 0);
  assert.match(
    out,
    /^note: num_warmup_steps 4 is not below num_train_steps 4: the run never leaves the warm-up$/m,
  );
  assert.match(out, /^note: stop_after_steps 5 is above num_train_steps 4, where the run ends$/m);
  assert.doesNotMatch((await albert({ output_dir: at("even"), stop_after_steps: "4" })).out, /note:/);
});

Deno.test("albert pretrain passes over a damaged checkpoint with a word that names the tensor", async () => {
  const output_dir = at("flipped");
  await albert({ output_dir, save_checkpoints_steps: "2" });
  const file = join(output_dir, "step-000004", "model.safetensors");
  const bytes = readFileSync(file);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 0x10;
  writeFileSync(file, bytes);
  const { code, out, err } = await albert({ output_dir, save_checkpoints_steps: "2" });
  assert.equal(code, 0, err);
  assert.match(
    out,
    /step-000004: .*tensor cls\/seq_relationship\/output_weights is damaged; going on from .*step-000002/,
  );
  assert.match(out, /going on from step 2: /);
  assert.match(out, /finished at step 4/);
});

Deno.test("albert pretrain saves the step before it meets damage that only reading shows", async () => {
  const output_dir = at("met");
  const vouched = at("vouched.tfrecord");
  const manifest = readFileSync(at("train.tfrecord.manifest.json"), "utf8");
  writeFileSync(`${vouched}.manifest.json`, manifest.replaceAll("train.tfrecord", "vouched.tfrecord"));
  const bytes = readFileSync(at("train.tfrecord"));
  bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1; // the last record; the length stays
  writeFileSync(vouched, bytes);
  const changes = { output_dir, input_file: vouched, num_train_steps: "100", shuffle_buffer: "0" };
  const { code, out, err } = await albert(changes);
  assert.equal(code, 1);
  assert.match(err, /record \d+ of .*vouched\.tfrecord.*checksum/);
  const [, step] = /step (\d+) is saved: .*step-0+\1/.exec(out) ?? [];
  assert.ok(Number(step) > 5, out);
  // Whole again, the run goes on there.
  writeFileSync(vouched, readFileSync(at("train.tfrecord")));
  const again = await albert({ ...changes, stop_after_steps: String(Number(step) + 1) });
  assert.match(again.out, new RegExp(`going on from step ${step}: `));
});
