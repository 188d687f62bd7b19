/**
 * Instances as texts, for a reader and for small corpora: what the tasks make of documents of pieces. The records
 * room runs the same code over packed numbers.
 */
import { instancesBuilder } from "./builder.ts";
import type { Generators, TasksConfig } from "./config.ts";
import type { SegmentPair } from "./maker.ts";
import type { StoredInstance } from "./packed.ts";
import type { PieceTable, PieceTableOptions } from "./piece_table.ts";
import type { TaskVocabulary } from "./pieces.ts";

/**
 * One training sequence: `[CLS] A [SEP] B [SEP]`, masked.
 *
 * @example
 * ```ts
 * import type { Instance } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const instance: Instance = {
 *   tokens: ["[CLS]", "▁a", "[SEP]", "[MASK]", "[SEP]"],
 *   segmentIds: [0, 0, 0, 1, 1],
 *   tokenBoundary: [1, 1, 1, 1, 1],
 *   maskedLmPositions: [3],
 *   maskedLmLabels: ["▁b"],
 *   nextSentenceLabel: 0,
 *   pair: "next",
 * };
 * assert.equal(instance.tokens.length, instance.segmentIds.length);
 * ```
 */
export type Instance = {
  /** The tokens after masking, without padding. */
  readonly tokens: string[];
  /** 0 through the first `[SEP]`, then 1. */
  readonly segmentIds: number[];
  /** 1 where a word starts or a special stands. */
  readonly tokenBoundary: number[];
  /** Positions to predict, ascending. */
  readonly maskedLmPositions: number[];
  /** The tokens that stood there. */
  readonly maskedLmLabels: string[];
  /** 0 when B follows A, 1 when they are swapped or B is random. */
  readonly nextSentenceLabel: 0 | 1;
  /** How B came about; not part of a record. */
  readonly pair: SegmentPair;
};

/**
 * Makes all instances of a corpus, exactly as the reference: shuffled documents, `dupe_factor` passes, pairs of
 * segments, masking, and a last shuffle.
 *
 * @param documents Documents of sentences of pieces; empty sentences and documents are left out.
 * @param vocabulary The tokenizer's pieces.
 * @param random Both generators; their state moves on exactly as in the reference.
 * @param options Flags and the style of the pieces; the reference's defaults.
 * @returns The instances in the order of the records.
 * @throws {RangeError} When a flag is out of range (all are named) or there is no document.
 * @example
 * ```ts
 * import { createInstances, generators } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "▁b", "▁c", "▁d"];
 * const vocabulary = { size: 9, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * const documents = [[["▁a", "▁b"], ["▁c"]], [["▁d"], ["▁a", "▁c"]]];
 * const options = { max_seq_length: 16, dupe_factor: 10, short_seq_prob: 0 };
 * const instances = createInstances(documents, vocabulary, generators(), options);
 * assert.equal(instances.length, 20);
 * assert(instances.some(({ pair }) => pair === "next") && instances.some(({ pair }) => pair === "swapped"));
 * ```
 */
export function createInstances(
  documents: readonly (readonly (readonly string[])[])[],
  vocabulary: TaskVocabulary,
  random: Generators,
  options: Partial<TasksConfig> & PieceTableOptions = {},
): Instance[] {
  const builder = instancesBuilder(vocabulary, random, options);
  for (const document of documents) {
    for (const sentence of document) builder.sentence(sentence);
    builder.endDocument();
  }
  const made = builder.finish();
  return Array.from({ length: made.size }, (_, place) => asTexts(made.read(place), made.table));
}

function asTexts(stored: StoredInstance, table: PieceTable): Instance {
  const { length, sep, count, pair } = stored;
  return {
    tokens: Array.from(stored.tokens.subarray(0, length), (id) => table.pieceOf(id)),
    segmentIds: Array.from({ length }, (_, i) => i < sep ? 0 : 1),
    tokenBoundary: [...stored.boundary.subarray(0, length)],
    maskedLmPositions: [...stored.positions.subarray(0, count)],
    maskedLmLabels: Array.from(stored.labels.subarray(0, count), (id) => table.pieceOf(id)),
    nextSentenceLabel: pair === "next" ? 0 : 1,
    pair,
  };
}
