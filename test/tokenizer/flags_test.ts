// Every flag that changes the pieces, on text in many scripts, against the files of three versions of spm_train. 0.1.97
// goes through all sets of flags, the other two share them, since the flags act before the versions part.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync } from "node:zlib";
import {
  parseModel,
  protobufWriter,
  serializeModel,
  type SpmVersion,
  trainUnigram,
  type UnigramOptions,
} from "albert-guide";
import { md5 } from "./kjv.ts";

type Golden = {
  lines: string[];
  tsv: string[];
  cases: { flags: UnigramOptions; vocab_md5: Partial<Record<SpmVersion, string>>; model_md5: string }[];
};

function golden(): Golden {
  const packed = readFileSync(new URL("../golden/spm/flags.json.gz", import.meta.url));
  return JSON.parse(gunzipSync(packed).toString("utf8")) as Golden;
}

const shares = { "0.1.97": [0, 1], "0.2.0": [0], "0.2.2": [1] } as const;

for (const spm_version of ["0.1.97", "0.2.0", "0.2.2"] as const) {
  Deno.test(`trainUnigram() writes the files of spm_train ${spm_version} whatever the flags`, async () => {
    const { lines, tsv, cases } = golden();
    let compared = 0;
    for (const [k, { flags, vocab_md5, model_md5 }] of cases.entries()) {
      if (!shares[spm_version].some((share) => share === k % 2)) continue;
      const wished = vocab_md5[spm_version];
      if (wished === undefined) continue; // 0.2.2 samples at random
      const weighted = flags.input_format === "tsv";
      const { vocab, model } = await trainUnigram(weighted ? tsv : lines, {
        ...flags,
        spm_version,
        input: weighted ? "g.tsv" : "g.txt",
        model_prefix: "ga",
      });
      assert.equal(md5(vocab), wished, JSON.stringify(flags));
      if (spm_version === "0.1.97") assert.equal(md5(model), model_md5, JSON.stringify(flags));
      compared++;
    }
    assert.ok(compared >= 12, `${compared} compared`);
  });
}

type MoreGolden = {
  files: { [name: string]: string[] };
  cases: {
    version: SpmVersion;
    flags: UnigramOptions;
    vocab_md5: string;
    model_md5?: string;
    charsmap_md5?: string;
    self_test?: [string, string][];
  }[];
};

// Flags that name files, that came after 0.1.97, or that draw at random from a seed.
Deno.test("trainUnigram() writes the files of spm_train when flags name files, delimiters or seeds", async () => {
  const { lines, tsv } = golden();
  const packed = readFileSync(new URL("../golden/spm/more_flags.json.gz", import.meta.url));
  const { files, cases } = JSON.parse(gunzipSync(packed).toString("utf8")) as MoreGolden;
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(`${folder}/${name}`, content.join("\n") + "\n");
  }
  const place = (value: unknown): unknown =>
    typeof value === "string" && value in files ? `${folder}/${value}` : value;
  assert.equal(cases.length, 21);
  for (const { version, flags, vocab_md5, model_md5, charsmap_md5, self_test } of cases) {
    const about = `${version} ${JSON.stringify(flags)}`;
    const weighted = flags.input_format === "tsv";
    const { vocab, model } = await trainUnigram(weighted ? tsv : lines, {
      ...Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, place(value)])),
      spm_version: version,
      input: weighted ? "g.tsv" : "g.txt",
      model_prefix: "ga",
    });
    assert.equal(md5(vocab), vocab_md5, about);
    const parsed = parseModel(model);
    if (charsmap_md5 !== undefined) {
      assert.equal(md5(parsed.normalizer_spec?.["precompiled_charsmap"] as Uint8Array), charsmap_md5, about);
    }
    const samples = parsed.rest?.find(({ field }) => field === 4)?.bytes;
    if (self_test !== undefined) {
      const wished = protobufWriter();
      for (const [input, expected] of self_test) {
        wished.message(1, (sample) => sample.string(1, input).string(2, expected));
      }
      assert.deepEqual(samples, wished.finish(), about);
    }
    // The names of files stand in the model: here they lie elsewhere.
    const own = { ...parsed.denormalizer_spec, normalization_rule_tsv: flags.denormalization_rule_tsv ?? "" };
    const renamed = parsed.denormalizer_spec === undefined ? parsed : { ...parsed, denormalizer_spec: own };
    if (model_md5 !== undefined) assert.equal(md5(serializeModel(renamed)), model_md5, about);
  }
});
