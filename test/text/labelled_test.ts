// Sentence quality on labelled hard cases. Before its lists were looked at with these cases in view, punkt had 124 of 132
// English and 118 of 126 German cases right; that is the fairer figure for unseen text.
import assert from "node:assert/strict";
import { sentenceSplitter, type SplitterName } from "../../lib/text/mod.ts";
import { labelledCases, scoreSentences, type SentenceScore } from "./labelled.ts";

const score = (set: "en" | "de" | "other", splitter: SplitterName): SentenceScore =>
  scoreSentences(labelledCases(set), (text, language) => sentenceSplitter(splitter, { language })(text));

/** Least share of cases without a mistake, precision and recall of boundaries. */
const THRESHOLDS = [
  ["en", 0.95, 0.97, 0.98],
  ["de", 0.97, 0.98, 0.99],
  ["other", 0.78, 0.83, 0.98],
] as const;

for (const [set, least, precision, recall] of THRESHOLDS) {
  Deno.test(`sentenceSplitter() keeps its score on the labelled cases: ${set}`, () => {
    const found = score(set, "punkt");
    const misses = found.wrong.map((one) => one.found.join(" | ")).join("\n");
    assert.ok(found.right / found.cases >= least, `${found.right} of ${found.cases}:\n${misses}`);
    assert.ok(found.precision >= precision, `precision ${found.precision}`);
    assert.ok(found.recall >= recall, `recall ${found.recall}`);
  });
}

Deno.test("sentenceSplitter() is better with punkt than with any other splitter where lists exist", () => {
  for (const set of ["en", "de"] as const) {
    const best = score(set, "punkt").right;
    for (const other of ["intl", "clause", "line"] as const) {
      assert.ok(score(set, other).right + 25 < best, `${set} ${other}`);
    }
  }
});

Deno.test("the labelled cases are at least 200 in English and German, none twice", () => {
  const cases = [...labelledCases("en"), ...labelledCases("de")];
  assert.ok(cases.length >= 200 && labelledCases("other").length >= 30);
  assert.equal(new Set(cases.map(({ text }) => text)).size, cases.length);
  for (const { text, sentences } of cases) assert.equal(sentences.join(" "), text);
});
