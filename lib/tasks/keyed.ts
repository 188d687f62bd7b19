/**
 * Instances whose draws depend on the document alone: each document in each pass has generators of its own, keyed by
 * seed, document number and pass. So a document gives the same instances wherever and whenever it is worked on, which is
 * what lets processes and machines share a corpus. Random partners come from the same block of documents.
 */
import { keyedRandom } from "../random.ts";
import { checkedTasks, type Generators, type TasksConfig } from "./config.ts";
import { documentsBuilder } from "./documents.ts";
import { instanceMaker } from "./maker.ts";
import type { StoredInstance } from "./packed.ts";
import type { PieceTable } from "./piece_table.ts";

/**
 * Seeds of keyed draws.
 *
 * @example
 * ```ts
 * import type { KeyedSeeds } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seeds: KeyedSeeds = { random_seed: 12345, numpy_seed: 12345 };
 * assert.equal(seeds.random_seed, 12345);
 * ```
 */
export type KeyedSeeds = {
  /** Seed of every draw but the n-gram length; any whole number, the sign is ignored. */
  readonly random_seed: number | bigint;
  /** Seed of the n-gram length, 0 to 2^32 - 1. */
  readonly numpy_seed: number;
};

/**
 * A block of documents: sentences go in, instances come out pass by pass.
 *
 * @example
 * ```ts
 * import type { KeyedBlock } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const sizeOf = (block: KeyedBlock): number => block.sentences();
 * assert.equal(typeof sizeOf, "function");
 * ```
 */
export type KeyedBlock = {
  /** Appends a sentence to the present document; one without pieces is skipped. */
  readonly sentence: (pieces: readonly string[]) => void;
  /** As `sentence`, with the numbers that the table has for the pieces. */
  readonly numbers: (numbers: ArrayLike<number>) => void;
  /** Ends the present document; it takes a number even when no sentence had pieces. */
  readonly endDocument: () => void;
  /** Sentences so far. */
  readonly sentences: () => number;
  /** Pieces so far. */
  readonly pieces: () => number;
  /** Documents with a sentence so far. */
  readonly documents: () => number;
  /**
   * Makes instances document by document and pass by pass, of all passes or of `passes`; yields after each document of a
   * pass.
   */
  readonly steps: (
    emit: (instance: StoredInstance, key: InstanceKey) => void,
    passes?: PassRange,
  ) => Generator<void>;
};

/**
 * Passes over the documents: `from` to `to - 1` of 0 to dupe_factor - 1.
 *
 * @example
 * ```ts
 * import type { PassRange } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const second: PassRange = { from: 1, to: 2 };
 * assert.equal(second.to - second.from, 1);
 * ```
 */
export type PassRange = { readonly from: number; readonly to: number };

/**
 * Which instance of the corpus one is.
 *
 * @example
 * ```ts
 * import type { InstanceKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const key: InstanceKey = { document: 17, pass: 0, index: 2 };
 * assert.equal(key.document, 17);
 * ```
 */
export type InstanceKey = {
  /** Number of the document in the corpus, from 0. */
  readonly document: number;
  /** Pass over the corpus, 0 to dupe_factor - 1. */
  readonly pass: number;
  /** Number of the instance in its document and pass, from 0. */
  readonly index: number;
};

/** Generators that start anew at every key. */
function keyedGenerators(
  { random_seed, numpy_seed }: KeyedSeeds,
): { readonly random: Generators; readonly turn: (document: number, pass: number) => void } {
  const whole = BigInt(random_seed);
  const seeds = [2n * (whole < 0n ? -whole : whole), 2n * BigInt(numpy_seed) + 1n] as const; // even and odd: never equal
  const python = keyedRandom();
  const lengths = keyedRandom();
  const { u32, random: uniform, save, restore } = lengths;
  const choice = (cdf: readonly number[] | Float64Array): number => {
    const draw = uniform();
    let index = 0;
    while (index < cdf.length - 1 && (cdf[index] ?? 1) <= draw) index++;
    return index;
  };
  return {
    // NumPy's generator and Python's are one twister when both are seeded by an array.
    random: { python, numpy: { u32, save, restore, uniform, choice } },
    turn: (document, pass) => {
      const place = (BigInt(document) << 32n) + BigInt(pass);
      python.reseed((seeds[0] << 96n) + place);
      lengths.reseed((seeds[1] << 96n) + place);
    },
  };
}

/**
 * Starts a block of documents whose draws are keyed.
 *
 * @param table Numbers of the pieces; one table may serve many blocks.
 * @param seeds Both seeds.
 * @param firstDocument Number of the block's first document in the corpus.
 * @param options Flags; the reference's defaults. `capacity`: pieces that there is room for at once, default 1024.
 * @returns The block.
 * @throws {RangeError} When a flag is out of range.
 * @example
 * ```ts
 * import { keyedBlock, pieceTable } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁a"];
 * const table = pieceTable({ size: 6, idOf: (p) => pieces.indexOf(p), pieceOf: (id) => pieces[id] ?? "" });
 * const block = keyedBlock(table, { random_seed: 1, numpy_seed: 1 }, 40, { max_seq_length: 8, dupe_factor: 2 });
 * block.sentence(["▁a", "▁a"]);
 * block.sentence(["▁a"]);
 * const keys: string[] = [];
 * for (const _ of block.steps((_, { document, pass, index }) => keys.push(`${document} ${pass} ${index}`)));
 * assert.deepEqual(keys, ["40 0 0", "40 1 0"]);
 * ```
 */
export function keyedBlock(
  table: PieceTable,
  seeds: KeyedSeeds,
  firstDocument: number,
  { capacity = 1024, ...options }: Partial<TasksConfig> & { readonly capacity?: number } = {},
): KeyedBlock {
  const config = checkedTasks("make instances", options);
  const documents = documentsBuilder({ narrow: table.most <= 65536, capacity });
  const documentNumbers: number[] = []; // of the documents that have a sentence
  let next = firstDocument;
  let before = 0;
  let open = false;
  let pieces = 0;
  const endDocument = (): void => {
    if (!open) return;
    open = false;
    documents.endDocument();
    if (documents.sentences() > before) documentNumbers.push(next);
    before = documents.sentences();
    next++;
  };
  function* steps(
    emit: (instance: StoredInstance, key: InstanceKey) => void,
    { from, to }: PassRange = { from: 0, to: config.dupe_factor },
  ): Generator<void> {
    endDocument();
    const { random, turn } = keyedGenerators(seeds);
    let key = { document: 0, pass: 0, index: 0 };
    const maker = instanceMaker(documents.finish(), table, random, config, (made) => {
      const { length, sep, pair, count, tokens, masker } = made;
      const { boundary, positions, labels } = masker;
      emit({ length, sep, pair, count, tokens, boundary, positions, labels }, key);
      key = { ...key, index: key.index + 1 };
    }, { shuffle: false });
    for (let place = 0; place < maker.count; place++) {
      for (let pass = from; pass < to; pass++) {
        key = { document: documentNumbers[place] ?? 0, pass, index: 0 };
        turn(key.document, pass);
        maker.make(place);
        yield;
      }
    }
  }
  const sentence = (numbers: ArrayLike<number>): void => {
    open = true;
    pieces += numbers.length;
    documents.sentence(numbers);
  };
  return {
    sentence: (texts) => sentence(texts.map((piece) => table.idOf(piece))),
    numbers: sentence,
    endDocument,
    sentences: documents.sentences,
    pieces: () => pieces,
    documents: () => documentNumbers.length + (open && documents.sentences() > before ? 1 : 0),
    steps,
  };
}
