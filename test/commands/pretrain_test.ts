// The commands pretrain and evaluate from flags to files, and how a signal ends them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { presetOf } from "../../lib/commands/pretrain_inputs.ts";
import { albertConfigToJson, albertPreset } from "../../lib/config/mod.ts";
import { readCheckpoint } from "../../lib/train/mod.ts";
import { makeRecords, modelOf, ownFolder, pieces, runCommand, writeLetters } from "./letters.ts";
import { xlaHere, xlaNote } from "../engines/xla.ts";

const folder = ownFolder();
const model = join(folder, "some.model");

async function setup(): Promise<void> {
  writeLetters(folder, 3);
  writeFileSync(model, "the bytes of a tokenizer");
  const { vocab_size: _, ...tiny } = JSON.parse(albertConfigToJson(albertPreset("tiny")));
  for (const vocab_size of [13, 12]) {
    writeFileSync(join(folder, `config${vocab_size}.json`), JSON.stringify({ ...tiny, vocab_size }));
  }
  const tokenizer_sha256 = createHash("sha256").update(readFileSync(model)).digest("hex");
  for (const name of ["train", "held_out"]) {
    await makeRecords(folder, name, { tokenizer_sha256, dupe_factor: 2 });
  }
  await makeRecords(folder, "permuted", { do_permutation: true });
}
await setup();

const flags = [
  `--input_file=${folder}/train.tfrecord`,
  `--albert_config_file=${folder}/config13.json`,
  ...["--max_seq_length=12", "--max_predictions_per_seq=2", "--train_batch_size=4", "--engine=tfjs-wasm"],
  ...["--num_warmup_steps=1", "--log_every=2", "--eval_batch_size=4"],
];

const pretrain = (output: string, ...args: string[]): Promise<string[]> =>
  runCommand("pretrain", [...flags, `--output_dir=${join(folder, output)}`, "--num_train_steps=4", ...args]);

Deno.test("pretrain says what it decided, takes TPU flags with a word, and keeps hashes", async () => {
  const lines = await pretrain("said", `--spm_model_file=${model}`, "--use_tpu", "--tpu_name=t");
  const all = lines.join("\n");
  for (
    const part of [
      /^--use_tpu is left aside/,
      /--tpu_name is left aside/,
      /parameters \(embeddings [\d,]+, mapping [\d,]+, layers [\d,]+, pooler [\d,]+, heads [\d,]+\)/,
      /memory: [1-9]\d* [kM]B for weights, moments and gradients, about [1-9]\d* [kM]B for activations/,
      /step 2: .* MLM [\d.]+ \(accuracy [\d.]+; \[MASK\] alone [\d.]+\), SOP/,
      /products reach .* GFLOP\/s here, so 4 steps take .* at the least/,
      /step 2: .* MFU \d+\.\d %.* left/,
      /finished at step 4: .*step-000004/,
    ]
  ) assert.match(all, part);
  const { hashes } = readCheckpoint(join(folder, "said")).state;
  assert.deepEqual(Object.keys(hashes ?? {}).sort(), ["config", "records", "tokenizer"]);
  await assert.rejects(pretrain("said", "--seed=3"), /seed was 12345 and is 3/);
});

Deno.test("pretrain knows the released architectures of both versions by name", async () => {
  const refused = (preset: string, message: RegExp): Promise<void> =>
    assert.rejects(
      runCommand("pretrain", [`--preset=${preset}`, `--output_dir=${folder}/no`, "--init_checkpoint=no"]),
      message,
    );
  for (const name of ["base_v1", "albert_xxlarge_v2", "albert_base_v1"]) {
    await refused(name, /--input_file must be given/); // the name was taken
    const config = presetOf(name);
    assert.equal(config.hidden_dropout_prob, name.endsWith("base_v1") ? 0.1 : 0, name);
  }
  for (const name of ["base_v3", "tiny_v1"]) await refused(name, /the presets are tiny, .*base, .*base_v1/);
});

Deno.test({
  name: `pretrain --devices shares the batch over devices of xla, or says why it cannot${xlaNote}`,
  ignore: !xlaHere,
  sanitizeResources: false, // the engine's process ends with this one
  sanitizeOps: false,
  fn: async () => {
    const lines = await pretrain("shared", "--engine=xla", "--devices=2", "--nomeasure_peak");
    assert.match(lines.join("\n"), /^engine: xla-cpu on .* as 2 devices, 2 records each/m);
    assert.match(lines.join("\n"), /^memory: .* for weights, moments and gradients on 2 devices/m);
    assert.match(lines.at(-1) ?? "", /^finished at step 4/);
    await assert.rejects(
      pretrain("shared", "--engine=xla", "--devices=3", "--nomeasure_peak"),
      /--train_batch_size=4 cannot be shared by --devices=3 in equal parts; give 3 or 6$/,
    );
  },
});

Deno.test("pretrain --devices refuses engines of one device", async () => {
  await assert.rejects(
    pretrain("shared", "--devices=2"),
    /Cannot open tfjs-wasm with --devices=2: it has one device; give --engine=xla/,
  );
  await assert.rejects(pretrain("shared", "--devices=0"), /--devices=0: it must be 1 to 64/);
});

Deno.test("pretrain names what does not fit the records before the first step", async () => {
  const quick = "--nomeasure_peak";
  await assert.rejects(
    pretrain("none", quick, "--max_seq_length=16"),
    /made with max_seq_length 12, this run says 16/,
  );
  await assert.rejects(
    pretrain("none", quick, "--max_predictions_per_seq=3"),
    /max_predictions_per_seq 2, this run says 3/,
  );
  await assert.rejects(
    pretrain("none", quick, `--albert_config_file=${folder}/config12.json`),
    /tokenizer has 13 pieces, the model's vocab_size is 12/,
  );
  writeFileSync(join(folder, "other.model"), "another tokenizer");
  await assert.rejects(
    pretrain("none", quick, `--spm_model_file=${folder}/other.model`),
    /Cannot use the tokenizer .*other.model: its SHA-256 is [0-9a-f]{64}, the records .*train.tfrecord were made with/,
  );
  await assert.rejects(pretrain("none", quick, `--input_file=${folder}/*.gz`), /matches no file/);
  await assert.rejects(pretrain("none", quick, "--device=gpu:7"), /the engine tfjs-wasm runs on/);
  const copy = join(folder, "long.tfrecord");
  const manifest = readFileSync(join(folder, "train.tfrecord.manifest.json"), "utf8");
  writeFileSync(copy, readFileSync(join(folder, "train.tfrecord")));
  writeFileSync(`${copy}.manifest.json`, manifest.replaceAll("train.tfrecord", "long.tfrecord"));
  appendFileSync(copy, "x");
  await assert.rejects(
    pretrain("none", quick, `--input_file=${copy}`),
    /the file has \d+ bytes, its manifest/,
  );
});

Deno.test("records says that the tokenizer has no <pad>, which exports need", async () => {
  for (const pad of ["<pad>", "[PAD]"]) {
    writeFileSync(join(folder, "pad.model"), modelOf([pad, ...pieces.slice(1)]));
    const lines = await runCommand("records", [
      ...[`--input_file=${folder}/raw.txt`, `--output_file=${folder}/${pad}.tfrecord`],
      ...[`--spm_model_file=${folder}/pad.model`, "--max_seq_length=12", "--max_predictions_per_seq=2"],
    ]);
    assert.equal(
      lines.filter((line) => /pad\.model has no piece <pad>/.test(line)).length,
      pad === "<pad>" ? 0 : 1,
    );
  }
});

Deno.test("pretrain takes records with exchanged pieces at twice the predictions", async () => {
  const input = [`--input_file=${folder}/permuted.tfrecord`, "--nomeasure_peak"];
  await assert.rejects(
    pretrain("permuted", ...input),
    /made with max_predictions_per_seq 4, this run says 2/,
  );
  const lines = await pretrain("permuted", ...input, "--max_predictions_per_seq=4");
  assert.match(lines.at(-1) ?? "", /finished at step 4/);
});

Deno.test("pretrain keeps whether the records' text was lower-cased, as exports need it", async () => {
  await makeRecords(folder, "cased", { do_lower_case: false });
  for (const [records, expected] of [["cased", false], ["train", true]] as const) {
    await pretrain(`of-${records}`, `--input_file=${folder}/${records}.tfrecord`, "--nomeasure_peak");
    const kept = join(folder, `of-${records}`, "step-000004", "preparation.json");
    assert.deepEqual(JSON.parse(readFileSync(kept, "utf8")), {
      do_lower_case: expected,
      keep_accents: false,
    });
  }
});

Deno.test("pretrain with --do_eval alone measures the newest checkpoint", async () => {
  await pretrain("measured", "--nomeasure_peak");
  const printed = await pretrain("measured", "--nodo_train", "--do_eval");
  const results = readFileSync(join(folder, "measured", "eval_results.txt"), "utf8").trim().split("\n");
  assert.deepEqual(printed.slice(-results.length), results); // as the reference writes it
  const names = results.map((line) => /^(\w+) = [\d.]+(?:e-?\d+)?$/.exec(line)?.[1]);
  assert.deepEqual(names, [...names].sort());
  for (const name of ["loss", "masked_lm_accuracy", "masked_lm_loss", "sentence_order_loss"]) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(results.includes("global_step = 4"));
  assert.match(printed.join("\n"), /on the training records, as in the reference/);
});

Deno.test("pretrain with both --do_train and --do_eval leaves the results of its last step", async () => {
  const printed = await pretrain("both", "--nomeasure_peak", "--do_eval");
  const results = readFileSync(join(folder, "both", "eval_results.txt"), "utf8").trim().split("\n");
  assert.deepEqual(printed.slice(-1 - results.length, -1), results);
  const alone = await pretrain("both", "--nodo_train", "--do_eval");
  assert.deepEqual(alone.slice(-results.length), results);
});

Deno.test("pretrain goes on with another engine and says that later digits differ", async () => {
  const stop = ["--nomeasure_peak", "--stop_after_steps=2"];
  await pretrain("moved", ...stop);
  const same = await pretrain("moved", "--nomeasure_peak", "--stop_after_steps=3");
  assert.doesNotMatch(same.join("\n"), /was computed on/);
  const moved = await pretrain("moved", "--nomeasure_peak", "--engine=reference");
  assert.match(
    moved.join("\n"),
    /step-000003 was computed on tfjs-wasm \(.*\), this run goes on with reference \(.*\)/,
  );
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`pretrain finishes its step, saves and exits with 130 on ${signal}, and the same command goes on`, async () => {
    const output = join(folder, signal);
    const start = (steps: number) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-check", new URL("../../lib/cli.ts", import.meta.url).pathname, "pretrain"],
          ...[...flags, `--output_dir=${output}`, `--num_train_steps=${steps}`, "--nomeasure_peak"],
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    const child = start(1_000_000);
    const text = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    while (!/step 4:/.test(seen)) {
      const { value, done } = await text.read();
      assert.equal(done, false, seen);
      seen += value;
    }
    const began = performance.now();
    child.kill(signal);
    const rest = (async () => {
      for (let part = await text.read(); !part.done; part = await text.read()) seen += part.value;
    })();
    await child.stderr.cancel();
    assert.equal((await child.status).code, 130);
    await rest;
    assert.ok(performance.now() - began < 10_000);
    const { step } = readCheckpoint(output).state;
    assert.match(seen, /^stopping after this step$/m);
    assert.match(seen, new RegExp(`interrupted at step ${step}: `));
    const state = JSON.parse(readFileSync(join(output, "trainer_state.json"), "utf8"));
    assert.deepEqual([state.status, state.global_step], ["interrupted", step]);
    if (signal === "SIGINT") return;
    const more = ["--num_train_steps=1000000", `--stop_after_steps=${step + 1}`, "--nomeasure_peak"];
    await runCommand("pretrain", [...flags, `--output_dir=${output}`, ...more]);
    assert.equal(readCheckpoint(output).state.step, step + 1);
  });
}

Deno.test({
  name: `pretrain ends within 10 s of SIGTERM in the middle of a long step on xla${xlaNote}`,
  ignore: !xlaHere,
  fn: async () => {
    const output = join(folder, "long");
    const { vocab_size: _, ...tiny } = JSON.parse(albertConfigToJson(albertPreset("tiny")));
    const wide = {
      ...tiny,
      vocab_size: 13,
      hidden_size: 256,
      intermediate_size: 1024,
      num_attention_heads: 4,
    };
    writeFileSync(join(folder, "wide.json"), JSON.stringify({ ...wide, num_hidden_layers: 2 }));
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", new URL("../../lib/cli.ts", import.meta.url).pathname, "pretrain"],
        ...[...flags, `--output_dir=${output}`, "--num_train_steps=1000", "--nomeasure_peak", "--engine=xla"],
        ...[`--albert_config_file=${folder}/wide.json`, "--train_batch_size=128", "--log_every=1"],
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const text = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    let line = 0;
    for (let part = await text.read(); !part.done; part = await text.read()) {
      seen += part.value;
      if (line > 0 || !/step 2:/.test(seen)) continue;
      line = performance.now();
      child.kill("SIGTERM"); // a step has just begun
    }
    assert.equal((await child.status).code, 130, seen);
    assert.ok(performance.now() - line < 10_000, `${performance.now() - line} ms`);
    const { step } = readCheckpoint(output).state;
    assert.ok(step >= 2 && step <= 4, seen);
  },
});

const held = [`--eval_input_file=${folder}/held_out.tfrecord`, "--engine=tfjs-wasm"];

Deno.test("evaluate prints one checkpoint as tables, and with --json as one line of JSON", async () => {
  await pretrain("compared", "--nomeasure_peak", "--save_checkpoints_steps=2", "--keep_checkpoint_max=0");
  const output = join(folder, "compared");
  const [only, ...rest] = await runCommand("evaluate", [`--checkpoint=${output}`, "--json", ...held]);
  assert.deepEqual(rest, []);
  const one = JSON.parse(only ?? "");
  assert.equal(one.global_step, 4);
  assert.ok(Math.abs(one.perplexity - Math.exp(one.masked_lm_loss)) < 1e-9);
  const [low, high] = one.intervals.masked_lm_accuracy;
  assert.ok(low <= one.masked_lm_accuracy && one.masked_lm_accuracy <= high);
  assert.equal(one.by_piece_frequency[0].band, "1-10");
  const shown = await runCommand("evaluate", [`--checkpoint=${output}`, ...held]);
  assert.match(shown[0] ?? "", /^checkpoint .*MLM loss.*\[MASK\] loss.*perplexity.*SOP/);
  assert.equal(shown[1], `${output}:`);
  assert.match(shown[2] ?? "", /^ {2}step-000004 .* ±[\d.]+ .* [\d.]+ \([\d.]+-[\d.]+\)/);
  assert.match(shown.join("\n"), /^rank of the piece +predictions +\[MASK\] right, % +loss$/m);
  assert.match(shown.join("\n"), /^1-10 +\d+ +[\d.]+ \([\d.]+-[\d.]+\) +[\d.]+$/m);
});

Deno.test("evaluate compares the steps of a folder, and folders by their last step", async () => {
  const output = join(folder, "compared");
  const [, first, ...rows] = await runCommand("evaluate", [`--checkpoint=${output}`, "--all", ...held]);
  assert.equal(first, `${output}:`);
  // The second row ends with its paired difference to the first, whose own interval is wider.
  const values = rows.slice(0, 2).map((row) => row.match(/-?[\d.]+ ±[\d.]+/g)?.map(parseFloat) ?? []);
  assert.equal(values[1]?.length, (values[0]?.length ?? 0) + 1, rows.join("\n"));
  assert.ok(
    Math.abs((values[1]?.at(-1) ?? NaN) - ((values[1]?.[1] ?? NaN) - (values[0]?.[1] ?? NaN))) < 0.0021,
  );
  await pretrain("beside", "--nomeasure_peak", "--seed=2");
  const other = join(folder, "beside");
  // The rows of a folder stand together, whatever the order they are named in.
  const named = [`${output}/step-000002`, other, `${output}/step-000004`].join(",");
  const both = await runCommand("evaluate", [`--checkpoint=${named}`, ...held]);
  assert.deepEqual(both.filter((line) => line.endsWith(":")), [`${output}:`, `${other}:`]);
  const losses = both.map((line) => line.match(/±/g)?.length ?? 0);
  assert.deepEqual(losses.slice(2, 6), [2, 3, 0, 2], both.join("\n")); // no difference across folders
  const between = `[MASK] loss of ${other}/step-000004 - ${output}/step-000004: `;
  assert.ok(
    both.some((line) => line.startsWith(between) && /: -?[\d.]+ ±[\d.]+$/.test(line)),
    both.join("\n"),
  );
});

Deno.test("evaluate draws a chart and refuses what cannot be watched or measured", async () => {
  const output = join(folder, "compared");
  const chart = join(folder, "compared.svg");
  await runCommand("evaluate", [`--checkpoint=${output}`, "--all", `--chart=${chart}`, ...held]);
  const svg = readFileSync(chart, "utf8");
  assert.ok(svg.startsWith("<svg ") && svg.includes("Right on [MASK], %") && svg.includes("Sentence order"));
  await assert.rejects(
    runCommand("evaluate", [`--checkpoint=${output},${output}`, "--watch", ...held]),
    /--watch follows one output_dir/,
  );
  await assert.rejects(
    runCommand("evaluate", [`--checkpoint=${output}`, "--max_seq_length=16", ...held]),
    /made with max_seq_length 12/,
  );
  await assert.rejects(
    runCommand("evaluate", [`--checkpoint=${folder}/no`, "--watch", `--eval_input_file=${folder}/no*`]),
    /matches no file/,
  );
});

Deno.test("evaluate --watch says what it waits for, measures every checkpoint and ends with the training", async () => {
  const printed: string[] = [];
  const place = join(folder, "watched");
  const waiting = Promise.withResolvers<void>();
  const watched = runCommand("evaluate", [
    ...[`--checkpoint=${place}`, "--watch", "--watch_seconds=0", ...held],
  ], (line) => {
    printed.push(line);
    waiting.resolve();
  });
  await waiting.promise;
  assert.match(
    printed[0] ?? "",
    /^waiting for the first checkpoint in .*watched: there is no such folder yet/,
  );
  await pretrain("watched", "--nomeasure_peak", "--save_checkpoints_steps=2");
  await watched;
  assert.deepEqual(printed.flatMap((row) => /^ {2}step-\d+/.exec(row)?.[0].trim() ?? []), [
    "step-000002",
    "step-000004",
  ]);
});
