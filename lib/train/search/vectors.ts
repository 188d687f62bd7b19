/**
 * Sentence vectors: the mean of the encoder's last layer over the pieces of a text, padding left out. The mean goes over
 * [CLS] and [SEP] too, as in the mean pooling of Sentence-BERT (Reimers and Gurevych 2019, arXiv 1908.10084).
 */
import type { AlbertConfig } from "../../config/mod.ts";
import type { EncoderInputs, NamedTensors } from "../../model/mod.ts";
import type { OnProgress } from "../../progress.ts";
import { cast, div, type Engine, maximum, mul, reduceSum, reshape, type Tensor } from "../../tensor/mod.ts";
import { openByLength, tellTexts } from "../by_length.ts";
import type { PieceTokenizer } from "../masked_input.ts";
import { encodeText } from "../finetune/examples.ts";
import { encodeSequence, sequenceParameters } from "../sequence.ts";
import { typesOf, uploadAll } from "../step.ts";

/**
 * Vectors of texts, row by row.
 *
 * @example
 * ```ts
 * import type { SentenceVectors } from "albert-guide";
 *
 * const rowOf = ({ values, dimension }: SentenceVectors, row: number): Float32Array =>
 *   values.subarray(row * dimension, (row + 1) * dimension);
 * ```
 */
export type SentenceVectors = {
  /** [texts, dimension], row-major. */
  readonly values: Float32Array;
  /** Length of a vector: hidden_size. */
  readonly dimension: number;
  /** How many there are. */
  readonly size: number;
};

/**
 * Options of `sentenceVectors`.
 *
 * @example
 * ```ts
 * import { albertPreset, initialParameters, referenceEngine, type SentenceVectorOptions } from "albert-guide";
 *
 * const config = albertPreset("tiny");
 * const options: Omit<SentenceVectorOptions, "tokenizer"> = {
 *   ...{ engine: referenceEngine(), config, parameters: initialParameters(config, 1), batchSize: 16 },
 * };
 * ```
 */
export type SentenceVectorOptions = {
  readonly engine: Engine;
  readonly config: AlbertConfig;
  /** Weights by name, as in a checkpoint; the heads are not needed. */
  readonly parameters: { readonly [name: string]: Float32Array };
  readonly tokenizer: PieceTokenizer;
  /** What a text goes through first, such as lower-casing; default nothing. */
  readonly prepare?: (text: string) => string;
  /** Texts in a batch, default 32. */
  readonly batchSize?: number;
  /** Longer texts are cut to so many pieces; default as many as the model has positions. */
  readonly maxSeqLength?: number;
  readonly signal?: AbortSignal;
  /** Counts texts. */
  readonly onProgress?: OnProgress;
};

/** Mean of the last layer where the mask is 1: [B, H]. */
function meanPooled(parameters: NamedTensors, inputs: EncoderInputs, config: AlbertConfig): Tensor {
  const sequence = encodeSequence(parameters, inputs, config);
  const [B, S] = inputs.inputMask.shape as readonly [number, number];
  const mask = cast(inputs.inputMask, "float32"); // [B, S]
  const sum = reduceSum(mul(sequence, reshape(mask, [B, S, 1])), [1]); // [B, H]
  return div(sum, reshape(maximum(reduceSum(mask, [1]), 1), [B, 1]));
}

/**
 * Computes a vector for each text: mean pooling over the last layer, padding left out. Texts may have any length; they are
 * computed in batches of like lengths.
 *
 * @param texts The texts.
 * @param options Engine, model, tokenizer, batch size.
 * @returns The vectors in the order of the texts.
 * @throws {RangeError} When there is no text, or `maxSeqLength` exceeds the model's positions.
 * @example
 * ```ts
 * import { albertPreset, initialParameters, referenceEngine, sentenceVectors } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "▁the", "▁sea"];
 * const config = albertPreset("tiny", { vocab_size: pieces.length });
 * const { size, dimension, values } = await sentenceVectors(["the sea", "the the sea"], {
 *   ...{ engine: referenceEngine(), config, parameters: initialParameters(config, 1) },
 *   tokenizer: {
 *     encode: (text) => text.split(" ").map((word) => `▁${word}`),
 *     idOf: (piece) => Math.max(1, pieces.indexOf(piece)),
 *     pieceOf: (id) => pieces[id] ?? "<unk>",
 *   },
 * });
 * assert.deepEqual([size, dimension, values.length], [2, config.hidden_size, 2 * config.hidden_size]);
 * ```
 */
export async function sentenceVectors(
  texts: readonly string[],
  options: SentenceVectorOptions,
): Promise<SentenceVectors> {
  const { engine, config, parameters, tokenizer, prepare = (text) => text, batchSize = 32 } = options;
  const { maxSeqLength = config.max_position_embeddings, signal, onProgress } = options;
  if (texts.length === 0) throw new RangeError("Cannot make sentence vectors: there is no text");
  if (maxSeqLength > config.max_position_embeddings || maxSeqLength < 3) {
    throw new RangeError(
      `Cannot make sentence vectors: maxSeqLength must be 3 to ${config.max_position_embeddings}, it is ${maxSeqLength}`,
    );
  }
  const weights = sequenceParameters(config);
  const encoded = texts.map((text) => encodeText({ text }, { tokenizer, prepare }, maxSeqLength));
  const runs = openByLength({
    ...{ engine, weights, batchSize, longest: maxSeqLength },
    compute: (given, inputs) => meanPooled(given, inputs, config),
  });
  const uploaded = await uploadAll(parameters, typesOf(weights), engine);
  try {
    const watch = { signal, onProgress: tellTexts(onProgress, "sentence vectors", texts.length) };
    const rows = await runs.run(uploaded, encoded, watch);
    const dimension = config.hidden_size;
    const values = new Float32Array(rows.length * dimension);
    rows.forEach((row, i) => values.set(row, i * dimension));
    return { values, dimension, size: rows.length };
  } finally {
    Object.values(uploaded).forEach((array) => array.dispose());
    runs.dispose();
  }
}
