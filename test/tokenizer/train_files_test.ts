import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  CorruptFileError,
  loadSentencePiece,
  type Progress,
  trainUnigram,
  trainUnigramFiles,
} from "albert-guide";

const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);
const lines = Array.from(
  { length: 60 },
  (_, i) => `the ${["sea", "land", "sand"][i % 3]} is ${i % 2 ? "wide" : "dry"}`,
);
const flags = { vocab_size: 20, normalization_rule_name: "identity", hard_vocab_limit: false } as const;

Deno.test("trainUnigramFiles() writes what trainUnigram() makes of the same lines", async () => {
  const at = folder();
  writeFileSync(`${at}/a.txt`, lines.slice(0, 30).join("\n")); // no line end behind the last line
  writeFileSync(`${at}/b.txt`, lines.slice(30).join("\n") + "\n");
  const input = [`${at}/a.txt`, `${at}/b.txt`];
  const files = await trainUnigramFiles({ ...flags, input, model_prefix: `${at}/t` });
  const direct = await trainUnigram(lines, { ...flags, input, model_prefix: `${at}/t` });
  assert.deepEqual(new Uint8Array(readFileSync(files.model)), direct.model);
  assert.equal(readFileSync(files.vocab, "utf8"), direct.vocab);
  assert.equal(files.report.lines, 60);
  assert.deepEqual(readdirSync(at).sort(), ["a.txt", "b.txt", "t.model", "t.vocab"]);
  const list = await trainUnigramFiles({ ...flags, input: input.join(","), model_prefix: `${at}/t` });
  assert.deepEqual(new Uint8Array(readFileSync(list.model)), direct.model);
  assert.equal(loadSentencePiece(direct.model).model.trainer_spec?.["model_prefix"], `${at}/t`);
});

Deno.test("trainUnigramFiles() tells how many bytes of the files are read, of how many", async () => {
  const at = folder();
  writeFileSync(`${at}/a.txt`, lines.join("\n"));
  writeFileSync(`${at}/b.txt`, lines.join("\n") + "\n");
  const seen: Progress[] = [];
  const input = [`${at}/a.txt`, `${at}/b.txt`];
  await trainUnigramFiles({ ...flags, input, model_prefix: `${at}/t`, onProgress: (p) => seen.push(p) });
  const size = 2 * lines.join("\n").length + 1;
  const reading = seen.filter(({ stage }) => stage.endsWith("read and normalize"));
  assert.deepEqual(reading.at(-1), {
    stage: "tokenizer: read and normalize",
    done: size,
    total: size,
    unit: "bytes",
    note: "120 sentences",
  });
  for (const { total } of seen) assert.ok(total !== undefined);
});

Deno.test("trainUnigramFiles() names file, line and byte when the input is not UTF-8", async () => {
  const at = folder();
  const good = new TextEncoder().encode("the sea\n".repeat(5));
  writeFileSync(`${at}/a.txt`, new Uint8Array([...good, 0x61, 0xff, 0xfe, 0x0a]));
  const options = { ...flags, input: `${at}/a.txt`, model_prefix: `${at}/t` };
  await assert.rejects(trainUnigramFiles(options), (error: Error) => {
    assert.ok(error instanceof CorruptFileError);
    assert.match(error.message, /a\.txt: line 6 is not UTF-8 at byte 41/);
    assert.deepEqual([error.place.record, error.place.byte], [6, 41]);
    return true;
  });
  assert.deepEqual(readdirSync(at), ["a.txt"]);
  const { vocab, report } = await trainUnigramFiles({
    ...options,
    character_coverage: 1,
    invalid_utf8: "replace",
  });
  assert.equal(report.lines, 6);
  assert.ok(readFileSync(vocab, "utf8").includes("\ufffd\t"));
});

Deno.test("trainUnigramFiles() finds a bad byte behind the first block of a large file", async () => {
  const at = folder();
  const block = new TextEncoder().encode("the sea and the sand are wide\n".repeat(20000));
  const bytes = new Uint8Array(block.length + 2);
  bytes.set(block);
  bytes.set([0xc3, 0x0a], block.length);
  writeFileSync(`${at}/a.txt`, bytes);
  const options = { ...flags, input: `${at}/a.txt`, model_prefix: `${at}/t` };
  await assert.rejects(
    trainUnigramFiles(options),
    new RegExp(`line 20001 is not UTF-8 at byte ${block.length};`),
  );
});

Deno.test("trainUnigramFiles() says which file is missing or that a name is", async () => {
  const at = folder();
  const options = { ...flags, input: `${at}/none.txt`, model_prefix: `${at}/t` };
  await assert.rejects(trainUnigramFiles(options), /none\.txt: there is no such file/);
  await assert.rejects(trainUnigramFiles({ ...options, input: "" }), /input names no file/);
  await assert.rejects(trainUnigramFiles({ ...options, model_prefix: "" }), /model_prefix is empty/);
});

Deno.test("trainUnigramFiles() names the file and its line when a line is no tsv", async () => {
  const at = folder();
  writeFileSync(`${at}/a.tsv`, "the\t3\nsea\t2\n");
  writeFileSync(`${at}/b.tsv`, "land\t1\nsand\tmany\n");
  const input = [`${at}/a.tsv`, `${at}/b.tsv`];
  await assert.rejects(
    () => trainUnigramFiles({ ...flags, input, input_format: "tsv", model_prefix: `${at}/t` }),
    { name: "SyntaxError", message: /b\.tsv: line 2 is no tsv/ },
  );
  assert.deepEqual(readdirSync(at).sort(), ["a.tsv", "b.tsv"]);
});

Deno.test("trainUnigramFiles() names the file that cannot be read to its end", async () => {
  const at = folder();
  await assert.rejects(
    () => trainUnigramFiles({ ...flags, input: at, model_prefix: `${at}/t` }), // opens, but a folder gives no bytes
    { message: `Cannot train the tokenizer on ${at}: EISDIR: illegal operation on a directory, read` },
  );
});

Deno.test("trainUnigramFiles() leaves nothing when the folder cannot be written", async () => {
  const at = folder();
  writeFileSync(`${at}/a.txt`, lines.join("\n"));
  writeFileSync(`${at}/file`, "");
  const options = { ...flags, input: `${at}/a.txt`, model_prefix: `${at}/file/t` };
  await assert.rejects(trainUnigramFiles(options), /Cannot write/);
  assert.deepEqual(readdirSync(at).sort(), ["a.txt", "file"]);
});

// Decoded texts are those of SentencePiece 0.2.0 with the same model.
Deno.test("trainUnigramFiles() stores rules for decoded text, and decode() applies them", async () => {
  const at = folder();
  const text = ["der Hund bellt laut.", "die Katze der See schläft", "ein Bär und der Hund"];
  writeFileSync(`${at}/a.txt`, Array.from({ length: 20 }, () => text).flat().join("\n") + "\n");
  writeFileSync(`${at}/rules.tsv`, "61\t62\n64 65 72\t44 45 52\tder\n2E\ne4\t61 65\n");
  const { model } = await trainUnigramFiles({
    ...flags,
    input: `${at}/a.txt`,
    model_prefix: `${at}/t`,
    vocab_size: 40,
    denormalization_rule_tsv: `${at}/rules.tsv`,
  });
  const { decode, encodeIds } = loadSentencePiece(readFileSync(model));
  const both = (given: string): string => decode(encodeIds(given));
  assert.equal(both("der Hund."), "DER Hund");
  assert.equal(both("ein Bär der"), "ein Baer DER");
  assert.equal(both("adera  xq"), "bDERb  \u2047 ");
});

Deno.test("trainUnigramFiles() names the file of symbols or seeds that is missing or wrong", async () => {
  const at = folder();
  writeFileSync(`${at}/a.txt`, lines.join("\n"));
  writeFileSync(`${at}/seeds`, "sea\t3\nland\n");
  const options = { ...flags, input: `${at}/a.txt`, model_prefix: `${at}/t` };
  await assert.rejects(
    trainUnigramFiles({ ...options, control_symbols_file: `${at}/none` }),
    /control_symbols_file names .*none: there is no such file/,
  );
  await assert.rejects(
    trainUnigramFiles({ ...options, seed_sentencepieces_file: `${at}/seeds` }),
    /seeds: line 2 is "land", expected a piece, a tab and a whole frequency/,
  );
  assert.deepEqual(readdirSync(at).sort(), ["a.txt", "seeds"]);
});
