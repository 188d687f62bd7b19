/**
 * A text with [MASK] as a model reads it, and the likeliest pieces of its answer. Nothing here runs a model, so that whatever
 * runs one (an engine, ONNX in a browser) cuts texts in the same way.
 */

/**
 * What fill-mask needs of a tokenizer; any tokenizer with these fits.
 *
 * @example
 * ```ts
 * import type { PieceTokenizer, SentencePiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fits = (tokenizer: SentencePiece): PieceTokenizer => tokenizer;
 * assert.equal(typeof fits, "function");
 * ```
 */
export type PieceTokenizer = {
  /** Text to pieces. */
  readonly encode: (text: string) => readonly string[];
  /** Id of a piece. */
  readonly idOf: (piece: string) => number;
  /** Piece of an id. */
  readonly pieceOf: (id: number) => string;
};

/**
 * One candidate for a masked place.
 *
 * @example
 * ```ts
 * import type { FilledPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const best: FilledPiece = { piece: "▁god", id: 41, probability: 0.5 };
 * assert.equal(best.probability, 0.5);
 * ```
 */
export type FilledPiece = { readonly piece: string; readonly id: number; readonly probability: number };

/**
 * How a text is cut.
 *
 * @example
 * ```ts
 * import { type MaskedOptions, preprocessText } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lower = (options: MaskedOptions): MaskedOptions => ({ ...options, prepare: (text) => preprocessText(text) });
 * assert.equal(typeof lower, "function");
 * ```
 */
export type MaskedOptions = {
  readonly tokenizer: PieceTokenizer;
  /** The model's `max_position_embeddings`. */
  readonly positions: number;
  /** What the text went through before it became records, such as lower-casing; default nothing. */
  readonly prepare?: (text: string) => string;
};

/**
 * A text as a model reads it.
 *
 * @example
 * ```ts
 * import type { MaskedInput } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const lengthOf = ({ ids }: MaskedInput): number => ids.length;
 * assert.equal(typeof lengthOf, "function");
 * ```
 */
export type MaskedInput = {
  /** Pieces with [CLS] and [SEP]. */
  readonly pieces: readonly string[];
  readonly ids: Int32Array;
  /** 0 for the first segment, 1 for the second. */
  readonly segments: Int32Array;
  /** Where [MASK] stands. */
  readonly masks: readonly number[];
};

const marker = "[MASK]";

/** Pieces of a segment; [MASK] is cut out before the tokenizer sees the text, which would split it. */
function piecesOf(text: string, { tokenizer, prepare = (plain) => plain }: MaskedOptions): string[] {
  return text.split(marker).flatMap((part, i) => {
    const prepared = prepare(part);
    // A space goes into the piece that follows, so what directly follows [MASK] would wrongly start a word.
    const joined = i > 0 && /^[^\s]/.test(part);
    const pieces = prepared.trim() === "" ? [] : [...tokenizer.encode(prepared)];
    const first = pieces[0];
    if (joined && first !== undefined && first.startsWith("▁")) {
      const bare = first.slice(1);
      if (bare === "") pieces.shift();
      else if (tokenizer.pieceOf(tokenizer.idOf(bare)) === bare) pieces[0] = bare;
    }
    return i === 0 ? pieces : [marker, ...pieces];
  });
}

/**
 * Cuts a text with [MASK] into pieces.
 *
 * @param text One segment, or two with " || " between them. Each [MASK] stands for one piece.
 * @param options Tokenizer, number of positions, preparation of the text.
 * @returns Pieces, ids, segments and the places of [MASK].
 * @throws {RangeError} When there is no [MASK], more than two segments, or the text is longer than the model's positions.
 * @example
 * ```ts
 * import { maskedInput } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<unk>", "[CLS]", "[SEP]", "[MASK]", "▁the"];
 * const tokenizer = {
 *   encode: (text: string) => text.trim().split(" ").map((word) => `▁${word}`),
 *   idOf: (piece: string) => Math.max(0, pieces.indexOf(piece)),
 *   pieceOf: (id: number) => pieces[id] ?? "<unk>",
 * };
 * const { ids, masks } = maskedInput("the [MASK]", { tokenizer, positions: 8 });
 * assert.deepEqual([[...ids], masks], [[1, 4, 3, 2], [2]]);
 * ```
 */
export function maskedInput(text: string, options: MaskedOptions): MaskedInput {
  const { tokenizer, positions } = options;
  const segments = text.split("||").map((segment) => piecesOf(segment, options));
  const pieces = ["[CLS]", ...segments.flatMap((segment) => [...segment, "[SEP]"])];
  const firstLength = (segments[0]?.length ?? 0) + 2;
  const masks = pieces.flatMap((piece, i) => piece === marker ? [i] : []);
  if (masks.length === 0) throw new RangeError("Cannot fill: the text has no [MASK]");
  if (segments.length > 2) {
    throw new RangeError(`Cannot fill: the text has ${segments.length} segments, at most 2`);
  }
  if (pieces.length > positions) {
    throw new RangeError(
      `Cannot fill: the text has ${pieces.length} pieces, the model has ${positions} positions`,
    );
  }
  return {
    pieces,
    ids: Int32Array.from(pieces, (piece) => tokenizer.idOf(piece)),
    segments: Int32Array.from(pieces, (_, i) => i < firstLength ? 0 : 1),
    masks,
  };
}

/**
 * The likeliest pieces of a row of probabilities, most probable first; among equals the smaller id.
 *
 * @param probabilities One for each piece.
 * @param topK How many.
 * @param tokenizer Names the pieces.
 * @returns At most `topK` pieces.
 * @example
 * ```ts
 * import { bestPieces } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [best] = bestPieces([0.1, 0.7, 0.2], 1, { pieceOf: (id) => `piece ${id}` });
 * assert.deepEqual(best, { piece: "piece 1", id: 1, probability: 0.7 });
 * ```
 */
export function bestPieces(
  probabilities: ArrayLike<number>,
  topK: number,
  { pieceOf }: Pick<PieceTokenizer, "pieceOf">,
): FilledPiece[] {
  return Array.from(probabilities, (probability, id) => ({ id, probability }))
    .sort((a, b) => b.probability - a.probability || a.id - b.id)
    .slice(0, topK)
    .map(({ id, probability }) => ({ piece: pieceOf(id), id, probability }));
}
