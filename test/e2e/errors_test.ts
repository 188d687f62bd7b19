// What a user does wrong at a terminal: one clear line, the right exit code, nothing that looks finished.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("../..", import.meta.url).pathname;

type Outcome = { readonly code: number | null; readonly out: string; readonly err: string };

function albert(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(Deno.execPath(), [
    "run",
    "-A",
    join(root, "lib/cli.ts"),
    ...args,
  ], {
    encoding: "utf8",
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { code: status, out: stdout, err: stderr };
}

/** The outcome must be one line on standard error with all the parts, and the given exit code. */
function refused(code: number, parts: readonly RegExp[], { code: found, err }: Outcome): void {
  const lines = err.trim().split("\n").filter((line) => line.startsWith("albert: "));
  assert.equal(lines.length, 1, err);
  for (const part of parts) assert.match(lines[0] ?? "", part);
  assert.equal(found, code, err);
  assert.doesNotMatch(err, /^\s+at /m, "a stack is shown only with --verbose");
}

const folder = (): string => mkdtempSync(join(tmpdir(), "albert-e2e-"));
const finished = (path: string): string[] => readdirSync(path).filter((name) => !name.includes(".tmp-"));

const prose = Array.from(
  { length: 60 },
  (_, i) => `The ${["sea", "land", "sky"][i % 3]} is wide. It was day ${i}.`,
);

function rawFile(place: string): string {
  const path = join(place, "raw.txt");
  writeFileSync(path, prose.map((line, i) => i % 6 === 5 ? `${line}\n` : line).join("\n"));
  return path;
}

const ids = [
  "--pad_id=0",
  "--unk_id=1",
  "--bos_id=-1",
  "--eos_id=-1",
  "--control_symbols=[CLS],[SEP],[MASK]",
];

function trainTokenizer(place: string): string {
  const prefix = join(place, "tok");
  const { code, err } = albert(
    "tokenizer",
    `--input=${rawFile(place)}`,
    `--model_prefix=${prefix}`,
    "--vocab_size=36",
    "--normalization_rule_name=identity",
    ...ids,
  );
  assert.equal(code, 0, err);
  return `${prefix}.model`;
}

Deno.test("albert names an unknown command, an unknown flag and a missing flag with exit code 2", () => {
  refused(2, [/Cannot run tokeniser/, /did you mean tokenizer\?/], albert("tokeniser"));
  refused(2, [/unknown flag --outputs/, /did you mean --output\?/], albert("raws", "--outputs=x"));
  refused(2, [/--output must be given/], albert("raws", "--input=x"));
});

Deno.test("albert --help exits with 0 and shows every command; no command exits with 2", () => {
  const help = albert("--help");
  assert.equal(help.code, 0);
  for (
    const name of [
      "environment",
      "raws",
      "tokenizer",
      "records",
      "pretrain",
      "evaluate",
      "fill-mask",
      "inspect",
      "guide",
    ]
  ) {
    assert.match(help.out, new RegExp(`^  ${name} `, "m"));
  }
  assert.equal(albert().code, 2);
});

Deno.test("albert raws refuses a missing file, an unreadable encoding and an empty text, and writes nothing", () => {
  const place = folder();
  const output = join(place, "raw.txt");
  refused(
    1,
    [/Cannot read/, /nothing\.txt/, /no such file/],
    albert("raws", `--input=${join(place, "nothing.txt")}`, `--output=${output}`),
  );
  writeFileSync(join(place, "latin1.txt"), Uint8Array.of(0x47, 0x72, 0xfc, 0xdf, 0x65, 0x0a));
  refused(
    1,
    [/latin1\.txt/, /byte 2/, /UTF-8/],
    albert("raws", `--input=${join(place, "latin1.txt")}`, `--output=${output}`),
  );
  writeFileSync(join(place, "empty.txt"), "\n\n");
  refused(
    1,
    [/no sentence|no document/, /nothing was written/],
    albert("raws", `--input=${join(place, "empty.txt")}`, `--output=${output}`),
  );
  assert.equal(existsSync(output), false);
});

Deno.test("albert tokenizer refuses a vocabulary larger than the text allows and says the largest", () => {
  const place = folder();
  const prefix = join(place, "tok");
  const outcome = albert(
    "tokenizer",
    `--input=${rawFile(place)}`,
    `--model_prefix=${prefix}`,
    "--vocab_size=5000",
    "--normalization_rule_name=identity",
    ...ids,
  );
  refused(1, [/vocab_size 5000/, /at most \d+ pieces/], outcome);
  assert.deepEqual(finished(place), ["raw.txt"]);
});

Deno.test("albert inspect and pretrain name the record and byte of a record file cut in half", () => {
  const place = folder();
  const model = trainTokenizer(place);
  const output = join(place, "a.tfrecord");
  const made = albert(
    "records",
    `--input_file=${join(place, "raw.txt")}`,
    `--output_file=${output}`,
    `--spm_model_file=${model}`,
    "--max_seq_length=16",
    "--max_predictions_per_seq=2",
    "--dupe_factor=2",
  );
  assert.equal(made.code, 0, made.err);
  assert.equal(albert("inspect", output, "--limit=0").code, 0);
  truncateSync(output, 1000);
  const damage = [/record \d+ of .*a\.tfrecord/, /byte 1000/];
  refused(1, damage, albert("inspect", output, "--limit=0"));
  // Without its manifest nothing but the frames tell the damage; it is told before the first step.
  rmSync(`${output}.manifest.json`);
  const lengths = ["--max_seq_length=16", "--max_predictions_per_seq=2"];
  const trained = albert(
    "pretrain",
    `--input_file=${output}`,
    `--output_dir=${join(place, "m")}`,
    "--preset=tiny",
    ...lengths,
  );
  refused(1, damage, trained);
  assert.equal(existsSync(join(place, "m", "step-000001")), false);
});

Deno.test("albert records refuses an input pattern that matches nothing and an empty corpus", () => {
  const place = folder();
  const model = trainTokenizer(place);
  const output = join(place, "a.tfrecord");
  const flags = [`--output_file=${output}`, `--spm_model_file=${model}`];
  refused(
    1,
    [/matches no file/, /nothing-\*\.txt/],
    albert("records", `--input_file=${join(place, "nothing-*.txt")}`, ...flags),
  );
  writeFileSync(join(place, "blank.txt"), "\n\n\n");
  refused(
    1,
    [/Cannot make records|no document|no sentence/],
    albert("records", `--input_file=${join(place, "blank.txt")}`, ...flags),
  );
  refused(
    1,
    [/Cannot read the tokenizer/, /no such file/],
    albert(
      "records",
      `--input_file=${join(place, "raw.txt")}`,
      `--output_file=${output}`,
      `--spm_model_file=${join(place, "no.model")}`,
    ),
  );
  assert.equal(existsSync(output), false);
});

Deno.test("albert pretrain names every wrong key of a config at once", () => {
  const place = folder();
  const config = join(place, "config.json");
  writeFileSync(config, JSON.stringify({ vocab_size: 100, hiden_size: 64, num_attention_heads: "four" }));
  const outcome = albert(
    "pretrain",
    `--albert_config_file=${config}`,
    "--input_file=x",
    `--output_dir=${join(place, "out")}`,
  );
  assert.equal(outcome.code, 1, outcome.err);
  assert.match(outcome.err, /hiden_size/);
  assert.match(outcome.err, /hidden_size/);
  assert.match(outcome.err, /num_attention_heads/);
});

Deno.test("albert says when a file or a folder is in the way of its output", () => {
  const place = folder();
  const input = rawFile(place);
  writeFileSync(join(place, "file"), "x");
  refused(
    1,
    [/Cannot write/, /a file is where a folder is needed/],
    albert("raws", `--input=${input}`, `--output=${join(place, "file", "raw.txt")}`, "--splitter=line"),
  );
});

Deno.test({
  name: "albert raws on a full device says so and leaves nothing that looks finished",
  ignore: !existsSync("/dev/full"),
  fn: () => {
    const place = folder();
    const input = rawFile(place);
    // Every temporary name that a process could take, laid onto the device that is always full.
    const script =
      `const { symlinkSync } = require("node:fs"); symlinkSync("/dev/full", process.argv[1] + ".tmp-" + process.ppid);`;
    const output = join(place, "out.txt");
    const shell =
      `node -e '${script}' ${output}; exec "${Deno.execPath()}" run -A lib/cli.ts raws --input=${input} --output=${output} --splitter=line`;
    const { status, stderr } = spawnSync("sh", ["-c", shell], {
      encoding: "utf8",
      cwd: root,
      env: { ...process.env, NO_COLOR: "1" },
    });
    refused(1, [/Cannot write/, /no space left/], { code: status, out: "", err: stderr });
    assert.equal(existsSync(output), false);
  },
});

Deno.test("albert words what the system says: folders for files, files for folders, missing places", () => {
  const place = folder();
  const file = join(place, "file");
  writeFileSync(file, "x");
  refused(
    1,
    [/Cannot read the raw file/, /it is a folder/],
    albert("tokenizer", `--input=${place}`, `--model_prefix=${join(place, "t")}`),
  );
  refused(
    1,
    [/Cannot write/, /a folder has that name/],
    albert("raws", `--input=${rawFile(place)}`, `--output=${place}`, "--splitter=line"),
  );
  refused(
    1,
    [/Cannot/, /a file is where a folder is needed/],
    albert("fill-mask", `--model=${file}`, "a [MASK]"),
  );
  refused(
    1,
    [/Cannot/, /a file is where a folder is needed/],
    albert("guide", `--output_dir=${file}`, "--quick"),
  );
  refused(
    1,
    [/Cannot/, /no such file/],
    albert("guide", `--output_dir=${join(place, "g")}`, "--data_dir=nowhere", "--quick"),
  );
  assert.deepEqual(readdirSync(place).filter((name) => name.includes(".tmp-")), []);
});
