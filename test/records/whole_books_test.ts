// Whole books in two languages: every record and both generators as the original left them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync } from "node:zlib";
import { createRecords, readTfrecords, type RecordsConfig } from "../../lib/records/mod.ts";
import { generators } from "../../lib/tasks/mod.ts";
import { loadSentencePiece } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

type Run = {
  readonly files: readonly string[];
  readonly numpy_seed: number;
  readonly flags: Partial<Omit<RecordsConfig, "random_seed">> & { readonly random_seed?: number | string };
  readonly records: number;
  readonly sha256: string;
  readonly after: { readonly python_random: number; readonly numpy_random: number };
};

const { runs } = goldenAlbert<{ runs: Record<string, Run> }>("whole-books");
const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;

for (const [name, { files, numpy_seed, flags, records, sha256, after }] of Object.entries(runs)) {
  Deno.test(`createRecords() repeats the reference over ${name}`, async () => {
    const folder = mkdtempSync(`${tmpdir()}/albert-`);
    for (const file of files) {
      const packed = new URL(`../../data/${file}/${file}.txt.gz`, import.meta.url);
      writeFileSync(`${folder}/${file}.txt`, gunzipSync(readFileSync(packed)));
    }
    const seed = BigInt(flags.random_seed ?? 12345);
    const random = generators(seed, numpy_seed);
    await createRecords({
      ...flags,
      random_seed: seed,
      numpy_seed,
      input_file: files.map((file) => `${folder}/${file}.txt`).join(","),
      output_file: `${folder}/out`,
      tokenizer: loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")), { spm_version: "0.2.2" }),
    }, { random });
    const hash = createHash("sha256");
    let count = 0;
    for await (const { data } of readTfrecords(`${folder}/out`)) {
      hash.update(data); // sorted keys: what protobuf serializes deterministically
      count++;
    }
    assert.deepEqual([count, hash.digest("hex")], [records, sha256]);
    assert.deepEqual({ python_random: random.python.random(), numpy_random: random.numpy.uniform() }, after);
  });
}
