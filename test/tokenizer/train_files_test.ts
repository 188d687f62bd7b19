import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { CorruptFileError, loadSentencePiece, trainUnigram, trainUnigramFiles } from "albert-guide";

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

Deno.test("trainUnigramFiles() leaves nothing when the folder cannot be written", async () => {
  const at = folder();
  writeFileSync(`${at}/a.txt`, lines.join("\n"));
  writeFileSync(`${at}/file`, "");
  const options = { ...flags, input: `${at}/a.txt`, model_prefix: `${at}/file/t` };
  await assert.rejects(trainUnigramFiles(options), /Cannot write/);
  assert.deepEqual(readdirSync(at).sort(), ["a.txt", "file"]);
});
