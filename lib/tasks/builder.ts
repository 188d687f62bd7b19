/**
 * From sentences to packed instances, a step at a time, so that a caller can read files, show progress and yield.
 */
import { checkedTasks, type Generators, type TasksConfig } from "./config.ts";
import { documentsBuilder } from "./documents.ts";
import { instanceMaker, type SegmentPair } from "./maker.ts";
import { instanceStore, type StoredInstance } from "./packed.ts";
import { type PieceTable, pieceTable, type PieceTableOptions } from "./piece_table.ts";
import type { TaskVocabulary } from "./pieces.ts";

/**
 * All instances of a corpus in their final order.
 *
 * @example
 * ```ts
 * import { generators, instancesBuilder } from "albert-guide";
 * import type { PackedInstances } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const vocabulary = { size: 6, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * const builder = instancesBuilder(vocabulary, generators(), { max_seq_length: 8, dupe_factor: 2 });
 * builder.sentence(["▁a", "▁a"]);
 * const made: PackedInstances = builder.finish();
 * assert.deepEqual([made.size, made.pairs.random], [2, 2]);
 * ```
 */
export type PackedInstances = {
  /** Number of instances. */
  readonly size: number;
  /** Instances by the origin of segment B. */
  readonly pairs: Readonly<Record<SegmentPair, number>>;
  /** Instance at a place of the final order; its arrays are reused by the next call. */
  readonly read: (place: number) => StoredInstance;
  /** Numbers of the pieces, and the ids that records hold. */
  readonly table: PieceTable;
};

/**
 * Takes sentences, then makes instances.
 *
 * @example
 * ```ts
 * import { generators, instancesBuilder } from "albert-guide";
 * import type { InstancesBuilder } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const vocabulary = { size: 6, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * const builder: InstancesBuilder = instancesBuilder(vocabulary, generators());
 * builder.sentence(["▁a"]);
 * assert.equal(builder.sentences(), 1);
 * ```
 */
export type InstancesBuilder = {
  /** Appends a sentence to the present document; one without pieces is skipped. */
  readonly sentence: (pieces: readonly string[]) => void;
  /** As `sentence`, with the numbers that `table` has for the pieces. */
  readonly numbers: (numbers: ArrayLike<number>) => void;
  /** Numbers of the pieces. */
  readonly table: PieceTable;
  /** Ends the present document. */
  readonly endDocument: () => void;
  /** Sentences so far. */
  readonly sentences: () => number;
  /** Pieces so far. */
  readonly pieces: () => number;
  /** Makes the instances; yields the number of documents done after each, of documents x dupe_factor. */
  readonly steps: () => Generator<{ readonly done: number; readonly total: number }>;
  /** Makes what is left and shuffles the instances. */
  readonly finish: () => PackedInstances;
};

/**
 * Starts a corpus. The draws begin with `steps` or `finish`, in the reference's order.
 *
 * @param vocabulary The tokenizer's pieces.
 * @param random Both generators.
 * @param options Flags and the style of the pieces; the reference's defaults.
 * @returns The builder.
 * @throws {RangeError} When a flag is out of range (all are named); from `finish`, when there is no sentence.
 * @example
 * ```ts
 * import { generators, instancesBuilder } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a", "▁b"];
 * const vocabulary = { size: 7, idOf: (p: string) => pieces.indexOf(p), pieceOf: (id: number) => pieces[id] ?? "" };
 * const builder = instancesBuilder(vocabulary, generators(), { max_seq_length: 8, dupe_factor: 1, masked_lm_prob: 0 });
 * builder.sentence(["▁a"]);
 * builder.sentence(["▁b"]);
 * const { length, tokens, sep } = builder.finish().read(0);
 * assert.deepEqual([length, sep, tokens[0]], [5, 3, 2]);
 * ```
 */
export function instancesBuilder(
  vocabulary: TaskVocabulary,
  random: Generators,
  options: Partial<TasksConfig> & PieceTableOptions = {},
): InstancesBuilder {
  const config = checkedTasks("make instances", options);
  const table = pieceTable(vocabulary, options);
  const documents = documentsBuilder({ narrow: table.most <= 65536 });
  let store: ReturnType<typeof instanceStore> | undefined;
  let rest: Generator<{ done: number; total: number }> | undefined;
  let pieces = 0;
  const begin = (): Generator<{ done: number; total: number }> => {
    if (documents.sentences() === 0) {
      throw new RangeError("Cannot make instances: no document has a sentence");
    }
    const packed = documents.finish();
    const started = instanceStore(config.max_seq_length, packed, table);
    store = started;
    const maker = instanceMaker(packed, table, random, config, started.append);
    return (function* () {
      const total = maker.count * config.dupe_factor;
      for (let done = 1; done <= total; done++) {
        maker.make((done - 1) % maker.count);
        yield { done, total };
      }
    })();
  };
  const numbers = (sentence: ArrayLike<number>): void => {
    pieces += sentence.length;
    documents.sentence(sentence);
  };
  return {
    sentence: (sentence) => numbers(sentence.map((piece) => table.idOf(piece))),
    numbers,
    table,
    endDocument: documents.endDocument,
    sentences: documents.sentences,
    pieces: () => pieces,
    steps: () => rest ??= begin(),
    finish: () => {
      rest ??= begin();
      while (!rest.next().done);
      const made = store;
      if (made === undefined) throw new Error("Cannot finish: the instances were not begun");
      made.shuffle(random.python);
      return { size: made.size(), pairs: made.pairs, table, read: made.read };
    },
  };
}
