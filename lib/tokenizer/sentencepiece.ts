/**
 * What a loaded tokenizer is to its users: the types of its functions and results.
 */
import type { Piece, SentencePieceModel } from "./model_file.ts";

/**
 * One piece of an encoded text with its place.
 *
 * @example
 * ```ts
 * import type { EncodedPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const piece: EncodedPiece = { piece: "▁the", id: 15, begin: 0, end: 3 };
 * assert.equal("the sea".slice(piece.begin, piece.end), "the");
 * ```
 */
export type EncodedPiece = {
  /** Normalized text of the piece; for an unknown run the characters themselves. */
  readonly piece: string;
  /** Its id. */
  readonly id: number;
  /** Where it begins in the text given, in UTF-16 units. */
  readonly begin: number;
  /** Where it ends in the text given, in UTF-16 units. */
  readonly end: number;
};

/**
 * One of several ways to cut a text.
 *
 * @example
 * ```ts
 * import type { Segmentation } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const cut: Segmentation = { pieces: ["▁a", "b"], ids: Int32Array.of(1, 2), score: -3 };
 * assert.equal(cut.pieces.join(""), "▁ab");
 * ```
 */
export type Segmentation = {
  readonly pieces: readonly string[];
  readonly ids: Int32Array;
  /** Sum of the scores: the log of its weight. */
  readonly score: number;
};

/**
 * How a segmentation is drawn; names and meaning of SentencePiece's `enable_sampling`.
 *
 * @example
 * ```ts
 * import { pythonRandom } from "albert-guide";
 * import type { SampleOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: SampleOptions = { random: pythonRandom(1).random, nbest_size: 64, alpha: 0.1 };
 * assert.equal(options.nbest_size, 64);
 * ```
 */
export type SampleOptions = {
  /** Uniform numbers in [0, 1): `pythonRandom(seed).random`. */
  readonly random: () => number;
  /** From how many best segmentations: -1 from all (default), 0 and 1 the best one, at most 512. */
  readonly nbest_size?: number;
  /** Sharpness: 0 makes all equally likely, larger ones prefer the better. For BPE the share of merges left out. Default 0.1. */
  readonly alpha?: number;
};

/**
 * Whether a word (a text without blanks) has the same pieces by itself and among others. A unigram model sums scores in
 * float32 from the start of the text, so a close choice may fall otherwise late in a long text.
 *
 * @example
 * ```ts
 * import { loadSentencePiece, serializeModel } from "albert-guide";
 * import type { WordCertainty } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { certainty, encode } = loadSentencePiece(serializeModel({
 *   pieces: [
 *     { piece: "<unk>", score: 0, type: "unknown" },
 *     { piece: "▁", score: -3, type: "normal" },
 *     { piece: "▁a", score: -1, type: "normal" },
 *     { piece: "a", score: -1, type: "normal" },
 *   ],
 * }));
 * const sure: WordCertainty | undefined = certainty("aa");
 * assert(sure !== undefined && sure.limit > 1_000 && sure.cost >= 2);
 * assert.deepEqual([...sure.ids], [2, 3]);
 * assert.deepEqual(encode("a aa"), [...encode("a"), ...encode("aa")]);
 * ```
 */
export type WordCertainty = {
  /** The pieces are sure while the costs of the words before sum up to less than this. */
  readonly limit: number;
  /** What the word adds to that sum. */
  readonly cost: number;
  /** Ids of its pieces, each unknown character by itself. */
  readonly ids: Int32Array;
};

/**
 * A loaded tokenizer. Its functions are synchronous and can be taken out of the object.
 *
 * @example
 * ```ts
 * import { loadSentencePiece, serializeModel } from "albert-guide";
 * import type { SentencePiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokenizer: SentencePiece = loadSentencePiece(serializeModel({
 *   pieces: [
 *     { piece: "<unk>", score: 0, type: "unknown" },
 *     { piece: "▁a", score: -1, type: "normal" },
 *     { piece: "b", score: -2, type: "normal" },
 *   ],
 * }));
 * assert.deepEqual(tokenizer.encode("a ab"), ["▁a", "▁a", "b"]);
 * ```
 */
export type SentencePiece = {
  /** Number of pieces: ids are 0 to size - 1. */
  readonly size: number;
  /** The vocabulary in id order. */
  readonly pieces: readonly Piece[];
  /** Id of the unknown piece. */
  readonly unkId: number;
  /** The model as read from the file. */
  readonly model: SentencePieceModel;
  /** Whose choice between segmentations of equal score it follows, see `LoadOptions`. */
  readonly spm_version: "0.1.97" | "0.2.0" | "0.2.2";
  /** Id of a piece; the id of the unknown piece when there is none of that text. */
  readonly idOf: (piece: string) => number;
  /** Text of the piece with this id; throws a RangeError for an id outside the vocabulary. */
  readonly pieceOf: (id: number) => string;
  /** Text to pieces. */
  readonly encode: (text: string) => string[];
  /** Text to ids. */
  readonly encodeIds: (text: string) => Int32Array;
  /** How sure the pieces of a word are when others stand around it; undefined when they depend on those. */
  readonly certainty: (word: string) => WordCertainty | undefined;
  /** Text to pieces with ids and places. */
  readonly encodeWithOffsets: (text: string) => EncodedPiece[];
  /** The best segmentations of a text, best first, at most 1024 and fewer if there are fewer. Unigram models only. */
  readonly nBest: (text: string, size: number) => Segmentation[];
  /** A segmentation drawn at random, for training that sees a text cut in many ways. Unigram and BPE models only. */
  readonly sample: (text: string, options: SampleOptions) => Segmentation;
  /** Ids or pieces to text. */
  readonly decode: (tokens: ArrayLike<number> | readonly string[]) => string;
  /** What the encoder segments: rewritten text with U+2581 for blanks. */
  readonly normalize: (text: string) => string;
};
