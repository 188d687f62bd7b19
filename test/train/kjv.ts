/** Examples of the embedded Bible in memory: tokenizer, instances and arrays, for tests that train. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPieces, generators, instancesBuilder, type TasksConfig } from "../../lib/tasks/mod.ts";
import { preprocessText, readRaw, writeEmbeddedRaw } from "../../lib/text/mod.ts";
import { loadSentencePiece, type SentencePiece, trainUnigram } from "../../lib/tokenizer/mod.ts";
import type { TrainingExample } from "../../lib/train/mod.ts";

export type Corpus = { readonly train: string[][]; readonly heldOut: string[][] };

/** Documents of clean sentences; `share` keeps the first part of the training documents. */
export async function kjvDocuments(share: number = 1): Promise<Corpus> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    const [outputTrain, outputHeldOut] = [join(folder, "train.txt"), join(folder, "held_out.txt")];
    const dataDir = new URL("../../data", import.meta.url).pathname;
    await writeEmbeddedRaw({ corpus: "kjv", dataDir, outputTrain, outputHeldOut });
    const read = async (path: string): Promise<string[][]> => {
      const documents: string[][] = [];
      for await (const document of readRaw(path)) {
        documents.push(document.map((text) => preprocessText(text)));
      }
      return documents;
    };
    const train = await read(outputTrain);
    return { train: train.slice(0, Math.ceil(train.length * share)), heldOut: await read(outputHeldOut) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function kjvTokenizer({ train }: Corpus, vocab_size: number): Promise<SentencePiece> {
  const { model } = await trainUnigram(train.flat(), {
    vocab_size,
    pad_id: 0,
    unk_id: 1,
    bos_id: -1,
    eos_id: -1,
    control_symbols: ["[CLS]", "[SEP]", "[MASK]"],
    normalization_rule_name: "identity",
  });
  return loadSentencePiece(model);
}

/** Instances as arrays. */
export function examplesOf(
  documents: string[][],
  tokenizer: SentencePiece,
  seed: number,
  options: Partial<TasksConfig>,
): TrainingExample[] {
  const builder = instancesBuilder(tokenizer, generators(seed, seed), options);
  const encode = (text: string): readonly string[] => tokenizer.encode(text);
  for (const document of documents) {
    for (const sentence of document) builder.sentence(albertPieces(encode, sentence));
    builder.endDocument();
  }
  const made = builder.finish();
  const S = options.max_seq_length ?? 512;
  const P = options.max_predictions_per_seq ?? 20;
  return Array.from({ length: made.size }, (_, place) => {
    const { length, sep, tokens, count, positions, labels, pair } = made.read(place);
    const ids = (numbers: ArrayLike<number>, size: number, used: number): Int32Array =>
      Int32Array.from({ length: size }, (_, i) => i < used ? made.table.recordId(numbers[i] ?? 0) : 0);
    return {
      input_ids: ids(tokens, S, length),
      input_mask: Int32Array.from({ length: S }, (_, i) => i < length ? 1 : 0),
      segment_ids: Int32Array.from({ length: S }, (_, i) => i < length && i >= sep ? 1 : 0),
      masked_lm_positions: Int32Array.from({ length: P }, (_, i) => i < count ? positions[i] ?? 0 : 0),
      masked_lm_ids: ids(labels, P, count),
      masked_lm_weights: Float32Array.from({ length: P }, (_, i) => i < count ? 1 : 0),
      next_sentence_labels: Int32Array.of(pair === "next" ? 0 : 1),
    };
  });
}
