/**
 * Fill-mask: the pieces a model expects where a text says [MASK]. The oldest demonstration of a masked language model,
 * and the quickest look at what one has learned.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { albertEncoder, maskedLmLogits } from "../model/mod.ts";
import { compile, type Engine, softmax, type TensorType } from "../tensor/mod.ts";
import { bestPieces, type FilledPiece, maskedInput, type PieceTokenizer } from "./masked_input.ts";
import { parameterTypes } from "./step.ts";

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
  const positions = config.max_position_embeddings;
  const { ids: inputIds, segments, masks } = maskedInput(text, { ...options, positions });
  const ids = (count: number): TensorType => ({ dtype: "int32", shape: [1, count] });
  const [S, P] = [inputIds.length, masks.length];
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
    inputIds,
    inputMask: new Int32Array(S).fill(1),
    segmentIds: segments,
    positions: Int32Array.from(masks),
  });
  const values = await probabilities.data();
  probabilities.dispose();
  program.dispose();
  const V = config.vocab_size;
  return masks.map((_, row) => bestPieces(values.subarray(row * V, (row + 1) * V), topK, tokenizer));
}
