// The tokenizer against Google's program where it is installed, and against its WebAssembly build.
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SentencePieceProcessor } from "sentencepiece-js";
import { loadSentencePiece, readEmbedded, trainUnigram, trainUnigramFiles } from "../../lib/mod.ts";
import { inPairs, type Ratio } from "./pairs.ts";

const flags = {
  vocab_size: 1000,
  pad_id: 0,
  unk_id: 1,
  bos_id: -1,
  eos_id: -1,
  num_threads: 1,
  control_symbols: "[CLS],[SEP],[MASK]",
};

/** Encoding 10,000 verses, and training on all of them. */
export async function* tokenizerBench(): AsyncGenerator<Ratio | string> {
  const verses = readEmbedded("kjv").flatMap(({ paragraphs }) => paragraphs);
  const { model } = await trainUnigram(verses, flags);
  const own = loadSentencePiece(model);
  const place = mkdtempSync(join(tmpdir(), "albert-bench-"));
  writeFileSync(join(place, "m.model"), model);
  const peer = new SentencePieceProcessor();
  await peer.load(join(place, "m.model"));
  const some = verses.slice(0, 10000);
  yield await inPairs(
    "encode 10,000 verses",
    { name: "ours", run: () => some.forEach((verse) => own.encodeIds(verse)) },
    { name: "sentencepiece-js", run: () => some.forEach((verse) => peer.encodeIds(verse)) },
  );
  if (spawnSync("spm_train", ["--version"]).status !== 0) {
    yield "train on 31,102 verses: skipped, spm_train is not installed (Debian: apt-get install sentencepiece)";
    return;
  }
  const input = join(place, "kjv.txt");
  writeFileSync(input, `${verses.join("\n")}\n`);
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  yield await inPairs(
    "train 1,000 pieces on 31,102 verses, one thread",
    { name: "ours", run: () => trainUnigramFiles({ ...flags, input, model_prefix: join(place, "a") }) },
    {
      name: "spm_train",
      run: () => spawnSync("spm_train", [`--input=${input}`, `--model_prefix=${join(place, "b")}`, ...args]),
    },
    3,
  );
}
