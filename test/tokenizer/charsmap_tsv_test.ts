import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { CorruptFileError, loadSentencePiece, trainUnigram } from "albert-guide";
import { md5 } from "./kjv.ts";

const lines = (): string[] =>
  (JSON.parse(
    gunzipSync(readFileSync(new URL("../golden/spm/flags.json.gz", import.meta.url))).toString("utf8"),
  ) as { lines: string[] }).lines;

const train = async (rules: string): Promise<{ vocab: string; model: Uint8Array }> => {
  const folder = mkdtempSync(join(tmpdir(), "albert-rules-"));
  try {
    const path = join(folder, "rules.tsv");
    writeFileSync(path, rules);
    return await trainUnigram(lines(), {
      vocab_size: 600,
      character_coverage: 0.98,
      hard_vocab_limit: false,
      normalization_rule_tsv: path,
      spm_version: "0.1.97",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
};

Deno.test("trainUnigram() with a file of rules gives the vocabulary of spm_train and keeps the rules in the model", async () => {
  const { vocab, model } = await train("61\t62\n41 42\t43 44\tcomment\n66 66 69\tFB01\n48\t\nU+5A\n");
  assert.equal(md5(vocab).slice(0, 12), "fc741da95be2");
  const tokenizer = loadSentencePiece(model);
  assert.equal(tokenizer.model.normalizer_spec?.["name"], "user_defined");
  assert.equal(tokenizer.normalize("aABAHZ ffi"), "▁bCDA▁ﬁ");
});

for (
  const [rules, message] of [
    ["61\t62\n\n", /line 2 has nothing to replace/],
    ["61\t62\nzz\t61\n", /line 2 has "zz"; a rule is hexadecimal/],
    ["D800\t61\n", /line 1 has "D800"/],
    ["\t61\n", /line 1 has nothing to replace/],
    ["", /it has none/],
  ] as const
) {
  Deno.test(`trainUnigram() refuses the rules ${JSON.stringify(rules)} with their line`, async () => {
    await assert.rejects(train(rules), (error: Error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("trainUnigram() names a file of rules that is not there", async () => {
  await assert.rejects(
    trainUnigram(["a"], { normalization_rule_tsv: "no/rules.tsv" }),
    /no\/rules\.tsv: there is no such file/,
  );
});
