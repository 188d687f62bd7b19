/**
 * The sentence order task: documents are cut into pairs of segments, in order, swapped or with a random partner, then
 * masked. Runs over piece numbers; segments are ranges of the flat documents, nothing is copied before the sequence.
 * Source: ALBERT paper, section 3.1; `create_instances_from_document` of the reference, draw by draw.
 */
import type { Generators, TasksConfig } from "./config.ts";
import type { PackedDocuments } from "./documents.ts";
import { createMasker, type Masker } from "./masking.ts";
import type { PieceTable } from "./piece_table.ts";

/**
 * How segment B came about: it follows A, A and B are exchanged, or B is of a random document.
 *
 * @example
 * ```ts
 * import type { SegmentPair } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const labelOf = (pair: SegmentPair): 0 | 1 => pair === "next" ? 0 : 1;
 * assert.equal(labelOf("random"), 1);
 * ```
 */
export type SegmentPair = "next" | "swapped" | "random";

/** One finished sequence; the arrays are reused for the next one. */
export type RawInstance = {
  /** Piece numbers, from `[CLS]` to the last `[SEP]`, behind them anything. */
  readonly tokens: Int32Array;
  /** Tokens in the sequence. */
  length: number;
  /** Index of the first token of segment B. */
  sep: number;
  /** Where the tokens of A and B begin in the documents. */
  a0: number;
  b0: number;
  /** How B came about; "next" is label 0, the others 1. */
  pair: SegmentPair;
  /** Number of predictions. */
  count: number;
  /** Positions, labels and word starts. */
  readonly masker: Masker;
};

/** Makes the instances of shuffled documents; call `make` for 0 .. count - 1, as often as `dupe_factor` says. */
export type InstanceMaker = {
  /** Number of documents. */
  readonly count: number;
  /** Makes the instances of the document at a place of the shuffled order. */
  readonly make: (place: number) => void;
};

/** Documents by their place in a shuffled order. */
type ShuffledDocuments = {
  /** First sentence of the document at a place. */
  readonly firstSentence: (place: number) => number;
  /** Sentence behind its last. */
  readonly endSentence: (place: number) => number;
  /** Where a sentence starts in the ids. */
  readonly start: (sentence: number) => number;
  /** Sentences of another document, at least `wished` tokens if it has them; a range of ids. */
  readonly randomSegment: (place: number, wished: number) => [number, number];
};

function shuffledDocuments(
  { sentenceStarts, documentStarts }: PackedDocuments,
  { python }: Generators,
  shuffle: boolean,
): ShuffledDocuments {
  const count = documentStarts.length - 1;
  const order = Int32Array.from({ length: count }, (_, d) => d);
  if (shuffle) python.shuffle(order);
  const firstSentence = (place: number): number => documentStarts[order[place] ?? 0] ?? 0;
  const endSentence = (place: number): number => documentStarts[(order[place] ?? 0) + 1] ?? 0;
  const start = (sentence: number): number => sentenceStarts[sentence] ?? 0;
  const randomSegment = (place: number, wished: number): [number, number] => {
    let other = place;
    for (let tries = 0; tries < 10; tries++) {
      other = python.randint(0, count - 1);
      if (other !== place) break;
    }
    const first = firstSentence(other);
    const end = endSentence(other);
    const from = first + python.randint(0, end - first - 1);
    let to = from + 1;
    while (to < end && start(to) - start(from) < wished) to++;
    return [start(from), start(to)];
  };
  return { firstSentence, endSentence, start, randomSegment };
}

/**
 * Shuffles the documents and prepares the work.
 *
 * @param emit Called for each instance; must copy what it keeps.
 * @param options `shuffle: false` leaves the documents in their order and draws nothing for it.
 */
export function instanceMaker(
  documents: PackedDocuments,
  table: PieceTable,
  random: Generators,
  config: TasksConfig,
  emit: (instance: RawInstance) => void,
  { shuffle = true }: { readonly shuffle?: boolean } = {},
): InstanceMaker {
  const { python } = random;
  const { ids } = documents;
  const most = config.max_seq_length - 3;
  const instance: RawInstance = {
    tokens: new Int32Array(config.max_seq_length),
    length: 0,
    sep: 0,
    a0: 0,
    b0: 0,
    pair: "next",
    count: 0,
    masker: createMasker(table, random, config, config.max_seq_length),
  };
  const { firstSentence, endSentence, start, randomSegment } = shuffledDocuments(documents, random, shuffle);
  /** Writes `[CLS] A [SEP] B [SEP]`, cut to size, masks it and hands it out. */
  const finish = (a0: number, a1: number, b0: number, b1: number, pair: SegmentPair): void => {
    while (a1 - a0 + b1 - b0 > most) {
      const front = python.random() < 0.5;
      if (a1 - a0 > b1 - b0) front ? a0++ : a1--;
      else front ? b0++ : b1--;
    }
    const { tokens, masker } = instance;
    tokens[0] = table.cls;
    tokens.set(ids.subarray(a0, a1), 1);
    instance.sep = a1 - a0 + 2;
    tokens[instance.sep - 1] = table.sep;
    tokens.set(ids.subarray(b0, b1), instance.sep);
    instance.length = instance.sep + b1 - b0 + 1;
    tokens[instance.length - 1] = table.sep;
    instance.a0 = a0;
    instance.b0 = b0;
    instance.pair = pair;
    instance.count = masker.mask(tokens, instance.length);
    emit(instance);
  };

  /** One sentence as two segments; a single piece makes nothing. */
  const splitSentence = (from: number, to: number): void => {
    if (to - from < 2) return;
    const cut = from + python.randint(1, to - from - 1);
    if (python.random() < 0.5) finish(cut, to, from, cut, "swapped");
    else finish(from, cut, cut, to, "next");
  };

  const alone = config.random_next_sentence ? "random" : config.single_sentence;
  const make = (place: number): void => {
    const end = endSentence(place);
    const target = python.random() < config.short_seq_prob ? python.randint(2, most) : most;
    let chunk = firstSentence(place);
    for (let i = chunk; i < end; i++) {
      if (i < end - 1 && start(i + 1) - start(chunk) < target) continue;
      const sentences = i + 1 - chunk;
      if (sentences === 1 && alone !== "random") {
        if (alone === "split") splitSentence(start(chunk), start(i + 1));
        chunk = i + 1;
        continue;
      }
      const split = chunk + (sentences >= 2 ? python.randint(1, sentences - 1) : 1);
      const [a0, a1, b1] = [start(chunk), start(split), start(i + 1)];
      if (sentences === 1 || (config.random_next_sentence && python.random() < 0.5)) {
        const [r0, r1] = randomSegment(place, target - (a1 - a0));
        finish(a0, a1, r0, r1, "random");
        i = split - 1; // the unused sentences open the next chunk
      } else if (!config.random_next_sentence && python.random() < 0.5) finish(a1, b1, a0, a1, "swapped");
      else finish(a0, a1, a1, b1, "next");
      chunk = i + 1;
    }
  };
  return { count: documents.documentStarts.length - 1, make };
}
