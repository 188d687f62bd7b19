import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createRecords, readManifest, type RecordsOptions } from "../../lib/records/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { loadWordPiece } from "../../lib/tokenizer/wordpiece.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";
import { runCommand } from "./letters.ts";

const golden = goldenPipeline();
const model = Buffer.from(
  goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64,
  "base64",
);

/** A folder with a raw file, a model and a vocabulary. */
function place(): string {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/raw.txt`, golden.input_files["corpus.txt"] ?? "");
  writeFileSync(`${folder}/tok.model`, model);
  writeFileSync(`${folder}/vocab.txt`, golden.vocab_wordpiece.join("\n"));
  return folder;
}

const lengths = { max_seq_length: 32, max_predictions_per_seq: 5, dupe_factor: 2 } as const;
const lengthFlags = Object.entries(lengths).map(([name, value]) => `--${name}=${value}`);

function made(folder: string, options: Partial<RecordsOptions>): Promise<unknown> {
  return createRecords({
    ...lengths,
    input_file: `${folder}/raw.txt`,
    output_file: `${folder}/library`,
    tokenizer: loadSentencePiece(model, { spm_version: "0.2.2" }),
    ...options,
  });
}

Deno.test("records takes the reference's flags by name, seeds of any size, and the newest SentencePiece's order", async () => {
  const folder = place();
  const random_seed = 2n ** 64n + 7n;
  await made(folder, { random_seed, numpy_seed: 9, do_permutation: true, favor_shorter_ngram: false });
  await runCommand("records", [
    `--input_file=${folder}/raw.txt`,
    `--output_file=${folder}/command`,
    "--vocab_file=unused",
    `--spm_model_file=${folder}/tok.model`,
    "--input_file_mode=r",
    `--random_seed=${random_seed}`,
    "--numpy_seed=9",
    "--do_permutation",
    "--nofavor_shorter_ngram",
    ...lengthFlags,
  ]);
  assert(readFileSync(`${folder}/command`).equals(readFileSync(`${folder}/library`)));
  const { flags, tokenizer } = readManifest(`${folder}/command.manifest.json`);
  assert.deepEqual([flags["random_seed"], tokenizer["spm_version"]], [String(random_seed), "0.2.2"]);
});

Deno.test("records drops invalid bytes of WordPiece text in mode rb, and says why not with a SentencePiece model", async () => {
  const folder = place();
  await made(folder, { tokenizer: loadWordPiece(golden.vocab_wordpiece.join("\n")) });
  const whole = readFileSync(`${folder}/raw.txt`);
  const spoiled = [...whole].flatMap((byte) => byte === 10 ? [0xff, 10] : [byte]);
  writeFileSync(`${folder}/raw.txt`, Uint8Array.from(spoiled));
  const args = [`--input_file=${folder}/raw.txt`, `--output_file=${folder}/command`, ...lengthFlags];
  const wordpiece = [...args, `--vocab_file=${folder}/vocab.txt`];
  await assert.rejects(runCommand("records", wordpiece), /invalid UTF-8 at byte \d+;/);
  await runCommand("records", [...wordpiece, "--input_file_mode=rb"]);
  assert(readFileSync(`${folder}/command`).equals(readFileSync(`${folder}/library`)));
  await runCommand("records", [...wordpiece, "--input_file_mode=rb", "--order=stream", "--overwrite"]);
  assert(existsSync(`${folder}/command.manifest.json`));
  await assert.rejects(
    runCommand("records", [...args, `--spm_model_file=${folder}/tok.model`, "--input_file_mode=rb"]),
    /input_file_mode rb works with a WordPiece vocabulary alone/,
  );
});

Deno.test("records refuses a seed that is no whole number", async () => {
  const folder = place();
  const args = [
    `--input_file=${folder}/raw.txt`,
    `--output_file=${folder}/a`,
    `--spm_model_file=${folder}/tok.model`,
  ];
  for (const seed of ["1.5", "x", ""]) {
    await assert.rejects(runCommand("records", [...args, `--random_seed=${seed}`]), /must be a whole number/);
  }
});
