/**
 * Bytes that a record takes on disk, before any is made: a record with ids of a typical frequency is built and counted.
 * How often a piece of rank r stands in a text is taken as 1 / (r + 2.7), the law of Zipf as Mandelbrot wrote it (1953);
 * ids follow ranks, and an id takes one byte below 128, two below 16,384.
 */
import { encodeExample } from "./example.ts";

/** Length and checksums around a record in its file, bytes. */
const frame = 16;

/** The offset of the ranks, Mandelbrot's usual value for texts. */
const offset = 2.7;

/** Ids at evenly spaced quantiles of their frequencies. */
function typicalIds(count: number, vocabSize: number): number[] {
  const spread = Math.log((vocabSize + offset) / (1 + offset));
  return Array.from(
    { length: count },
    (_, i) =>
      Math.min(vocabSize - 1, Math.round((1 + offset) * Math.exp(spread * (i + 0.5) / count) - offset)),
  );
}

/**
 * The size of a record in a file without compression.
 *
 * @param lengths `max_seq_length` S and `max_predictions_per_seq` P; every record is padded to them.
 * @param vocabSize Pieces of the tokenizer.
 * @returns Bytes, the frame of the file included.
 * @example
 * ```ts
 * import { recordBytes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bytes = recordBytes({ max_seq_length: 512, max_predictions_per_seq: 20 }, 30000);
 * assert.ok(bytes > 2_500 && bytes < 2_900);
 * ```
 */
export function recordBytes(
  { max_seq_length: S, max_predictions_per_seq: P }: {
    readonly max_seq_length: number;
    readonly max_predictions_per_seq: number;
  },
  vocabSize: number,
): number {
  const int64 = (values: number[]) => ({ type: "int64_list", values }) as const;
  const ones = (count: number): number[] => new Array<number>(count).fill(1);
  return frame + encodeExample({
    input_ids: int64(typicalIds(S, vocabSize)),
    input_mask: int64(ones(S)),
    segment_ids: int64(ones(S)),
    token_boundary: int64(ones(S)),
    masked_lm_positions: int64(Array.from({ length: P }, (_, i) => Math.floor(i * S / P))),
    masked_lm_ids: int64(typicalIds(P, vocabSize)),
    masked_lm_weights: { type: "float_list", values: ones(P) },
    next_sentence_labels: int64([1]),
  }).length;
}
