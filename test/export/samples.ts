/** A small model of each shape with a tokenizer, for the tests of exports. */
import { type AlbertConfig, albertPreset } from "../../lib/config/mod.ts";
import type { ExportedModel } from "../../lib/export/mod.ts";
import { encodeExample, type Feature, tfrecordWriter } from "../../lib/records/mod.ts";
import { type Piece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { initialParameters } from "../../lib/train/mod.ts";

/** Pieces with the five special ones, a user-defined one, digits with a comma, letters. */
export function samplePieces(): Piece[] {
  const normal = [..."abcdefghijklmnopqrstuvwxyz0123456789,.;'"].flatMap((char, i): Piece[] => [
    { piece: char, score: -8 - i / 64, type: "normal" },
    { piece: `▁${char}`, score: -7 - i / 64, type: "normal" },
  ]);
  return [
    { piece: "<pad>", score: 0, type: "control" },
    { piece: "<unk>", score: 0, type: "unknown" },
    { piece: "[CLS]", score: 0, type: "control" },
    { piece: "[SEP]", score: 0, type: "control" },
    { piece: "[MASK]", score: 0, type: "control" },
    { piece: "(", score: 0, type: "user_defined" },
    { piece: "▁the", score: -2, type: "normal" },
    { piece: "▁", score: -3, type: "normal" },
    { piece: "1,", score: -3, type: "normal" },
    ...normal,
  ];
}

export function sampleTokenizer(): Uint8Array {
  const pieces = samplePieces();
  return serializeModel({
    pieces,
    trainer_spec: { model_type: 1, vocab_size: pieces.length, unk_id: 1, bos_id: -1, eos_id: -1, pad_id: 0 },
    normalizer_spec: {
      name: "identity",
      add_dummy_prefix: true,
      remove_extra_whitespaces: true,
      escape_whitespaces: true,
    },
  });
}

/** A model with weights that all differ from 0 and 1, so that a swap shows. */
export function sampleModel(architecture: Partial<AlbertConfig> = {}, seed: number = 1): ExportedModel {
  const config = albertPreset("tiny", { vocab_size: samplePieces().length, ...architecture });
  const weights = initialParameters(config, seed);
  const parameters = Object.fromEntries(
    Object.entries(weights).map((
      [name, values],
    ) => [name, values.map((value, i) => value + Math.sin(i + seed) / 50)]),
  );
  const zero = Object.fromEntries(
    Object.entries(parameters).map(([name, values]) => [name, values.map(() => 0.5)]),
  );
  return { config, parameters, tokenizer: sampleTokenizer(), step: 12, m: zero, v: zero };
}

/** Records of the sample model's full length with one prediction each. */
export function writeSampleRecords(path: string, records: number): void {
  const S = sampleModel().config.max_position_embeddings;
  const ints = (length: number, at: (i: number) => number): Feature => ({
    type: "int64_list",
    values: Array.from({ length }, (_, i) => at(i)),
  });
  const writer = tfrecordWriter(path);
  for (let record = 0; record < records; record++) {
    writer.write(encodeExample({
      input_ids: ints(S, (i) => i === 0 ? 2 : i === 3 ? 4 : i < 8 ? 9 + record + i : i === 8 ? 3 : 0),
      input_mask: ints(S, (i) => i < 9 ? 1 : 0),
      segment_ids: ints(S, () => 0),
      masked_lm_positions: ints(20, (i) => i === 0 ? 3 : 0),
      masked_lm_ids: ints(20, (i) => i === 0 ? 12 + record : 0),
      masked_lm_weights: {
        type: "float_list",
        values: Array.from({ length: 20 }, (_, i) => i === 0 ? 1 : 0),
      },
      next_sentence_labels: ints(1, () => record % 2),
    }));
  }
  writer.commit();
}
