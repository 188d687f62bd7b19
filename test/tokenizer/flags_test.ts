// Every flag that changes the pieces, on text in many scripts, against the files of three versions of spm_train. 0.1.97
// goes through all sets of flags, the other two share them, since the flags act before the versions part.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type SpmVersion, trainUnigram, type UnigramOptions } from "albert-guide";
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
