// The size of a record before it is made, against a file of records.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createRecords, recordBytes } from "../../lib/records/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

Deno.test("recordBytes() is within 10 % of what records take in a file", async () => {
  const { spm_model_base64 } = goldenAlbert<{ spm_model_base64: string }>("tokenization");
  const tokenizer = loadSentencePiece(Uint8Array.from(atob(spm_model_base64), (c) => c.charCodeAt(0)));
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  try {
    writeFileSync(`${folder}/raw.txt`, goldenPipeline().input_files["corpus.txt"] ?? "");
    for (const [max_seq_length, max_predictions_per_seq] of [[32, 5], [64, 10]] as const) {
      const lengths = { max_seq_length, max_predictions_per_seq };
      const files = { input_file: `${folder}/raw.txt`, output_file: `${folder}/${max_seq_length}.tfrecord` };
      const { instances } = await createRecords({ dupe_factor: 3, ...lengths, ...files, tokenizer });
      const ratio = recordBytes(lengths, tokenizer.size) * instances / statSync(files.output_file).size;
      assert.ok(ratio > 0.9 && ratio < 1.1, `${max_seq_length} pieces: estimate / file is ${ratio}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
