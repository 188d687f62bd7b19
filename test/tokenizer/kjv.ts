/** The training text of the golden vocabularies, its flags, and the golden files. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { UnigramOptions } from "albert-guide";

/** The 31,102 verses of the King James Bible, one each. */
export function kjvVerses(): string[] {
  const packed = readFileSync(new URL("../../data/kjv/kjv.txt.gz", import.meta.url));
  const verses = gunzipSync(packed).toString("utf8").split("\n").filter((line) => line !== "");
  const hash = createHash("sha256").update(verses.join("\n") + "\n").digest("hex");
  assert.equal(
    hash.slice(0, 16),
    "b5c4940bcfeee072",
    "the embedded text is not the one the goldens were made from",
  );
  return verses;
}

/** The guide's flags. */
export const guideFlags: UnigramOptions = {
  pad_id: 0,
  unk_id: 1,
  eos_id: -1,
  bos_id: -1,
  user_defined_symbols: "(,),”,-,.,–,£,€",
  control_symbols: "[CLS],[SEP],[MASK]",
  shuffle_input_sentence: true,
  input_sentence_size: 10000000,
  character_coverage: 0.99995,
};

/** A committed golden vocabulary: generation a, h or p; one of 1 and 16 threads. */
export function goldenVocab(name: string): string {
  return gunzipSync(readFileSync(new URL(`../golden/spm/${name}.vocab.gz`, import.meta.url))).toString(
    "utf8",
  );
}

/** First 12 digits of the MD5, as the table of golden vocabularies lists them. */
export function md5(content: string | Uint8Array): string {
  return createHash("md5").update(content).digest("hex").slice(0, 12);
}
