/**
 * Fill-mask: the pieces a model expects where a text says [MASK]. The oldest demonstration of a masked language model,
 * and the quickest look at what one has learned.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { albertEncoder, maskedLmLogits } from "../model/mod.ts";
import { compile, type Engine, softmax, type TensorType } from "../tensor/mod.ts";
import { parameterTypes } from "./step.ts";

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
 * Options of `fillMask`.
 *
 * @example
 * ```ts
 * import type { FillMaskOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const more = (options: FillMaskOptions): FillMaskOptions => ({ ...options, topK: 10 });
 * assert.equal(typeof more, "function");
 * ```
 */
export type FillMaskOptions = {
  readonly engine: Engine;
  readonly config: AlbertConfig;
  /** Weights by name, as in a checkpoint. */
  readonly parameters: { readonly [name: string]: Float32Array };
  readonly tokenizer: PieceTokenizer;
  /** Candidates per [MASK], default 5. */
  readonly topK?: number;
  /** What the text went through before it became records, such as lower-casing; default nothing. */
  readonly prepare?: (text: string) => string;
};

const marker = "[MASK]";

/** Pieces of a segment; [MASK] is cut out before the tokenizer sees the text, which would split it. */
function piecesOf(text: string, { tokenizer, prepare = (plain) => plain }: FillMaskOptions): string[] {
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
 * Predicts the pieces behind every [MASK] of a text.
 *
 * @param text One segment, or two with " || " between them. Each [MASK] stands for one piece.
 * @param options Engine, model, tokenizer, number of candidates, preparation of the text.
 * @returns For each [MASK] in order, the best candidates, most probable first.
 * @throws {RangeError} When there is no [MASK] or the text is longer than the model's positions.
 * @example
 * ```ts
 * import { albertPreset, fillMask, initialParameters, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "▁the", "▁sea", "."];
 * const config = albertPreset("tiny", { vocab_size: pieces.length });
 * const [candidates] = await fillMask("the [MASK].", {
 *   engine: referenceEngine(),
 *   config,
 *   parameters: initialParameters(config, 1),
 *   tokenizer: {
 *     encode: (text) => text.trim().split(" ").map((word) => pieces.includes(word) ? word : `▁${word}`),
 *     idOf: (piece) => Math.max(1, pieces.indexOf(piece)),
 *     pieceOf: (id) => pieces[id] ?? "<unk>",
 *   },
 *   topK: 8,
 * });
 * const sum = candidates!.reduce((total, { probability }) => total + probability, 0); // ! one [MASK]
 * assert.ok(Math.abs(sum - 1) < 1e-5);
 * ```
 */
export async function fillMask(text: string, options: FillMaskOptions): Promise<FilledPiece[][]> {
  const { engine, config, parameters, tokenizer, topK = 5 } = options;
  const segments = text.split("||").map((segment) => piecesOf(segment, options));
  const tokens = ["[CLS]", ...segments.flatMap((segment) => [...segment, "[SEP]"])];
  const firstLength = (segments[0]?.length ?? 0) + 2;
  const masks = tokens.flatMap((token, i) => token === marker ? [i] : []);
  if (masks.length === 0) throw new RangeError("Cannot fill: the text has no [MASK]");
  if (segments.length > 2) {
    throw new RangeError(`Cannot fill: the text has ${segments.length} segments, at most 2`);
  }
  if (tokens.length > config.max_position_embeddings) {
    throw new RangeError(
      `Cannot fill: the text has ${tokens.length} pieces, the model has ${config.max_position_embeddings} positions`,
    );
  }
  const ids = (count: number): TensorType => ({ dtype: "int32", shape: [1, count] });
  const [S, P] = [tokens.length, masks.length];
  const program = await compile((args) => {
    const { sequence } = albertEncoder(args.parameters, args, config);
    return { probabilities: softmax(maskedLmLogits(args.parameters, sequence, args.positions, config)) };
  }, {
    parameters: parameterTypes(config),
    inputIds: ids(S),
    inputMask: ids(S),
    segmentIds: ids(S),
    positions: ids(P),
  }, { engine });
  const { probabilities } = await program.run({
    parameters,
    inputIds: Int32Array.from(tokens, (token) => tokenizer.idOf(token)),
    inputMask: new Int32Array(S).fill(1),
    segmentIds: Int32Array.from(tokens, (_, i) => i < firstLength ? 0 : 1),
    positions: Int32Array.from(masks),
  });
  const values = await probabilities.data();
  probabilities.dispose();
  program.dispose();
  const V = config.vocab_size;
  return masks.map((_, row) => best(values.subarray(row * V, (row + 1) * V), topK, tokenizer));
}

function best(probabilities: ArrayLike<number>, topK: number, { pieceOf }: PieceTokenizer): FilledPiece[] {
  return Array.from(probabilities, (probability, id) => ({ id, probability }))
    .sort((a, b) => b.probability - a.probability || a.id - b.id)
    .slice(0, topK)
    .map(({ id, probability }) => ({ piece: pieceOf(id), id, probability }));
}
