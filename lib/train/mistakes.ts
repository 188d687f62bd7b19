/**
 * Where a model is wrong: which pieces it says for which, how sure it was, and the mistakes that cost most. Only
 * `[MASK]` positions count.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { originalPieces } from "./bands.ts";
import type { TrainingExamples } from "./batches.ts";
import type { EvaluateOptions } from "./evaluate.ts";
import { type Outcome, outcomes, recordOf } from "./outcomes.ts";
import { addRecord, aroundShare, emptyRatio } from "./ratio.ts";

/**
 * One wrong guess.
 *
 * @example
 * ```ts
 * import type { Mistake } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const sure = ({ guess_probability }: Mistake): boolean => guess_probability > 0.9;
 * assert.equal(typeof sure, "function");
 * ```
 */
export type Mistake = {
  /** The pieces around, at most 8 to each side, the place itself as `[MASK]`. */
  readonly context: string;
  /** What stood there, and what probability the model gave it. */
  readonly truth: string;
  readonly truth_probability: number;
  /** What the model said, and how sure it was. */
  readonly guess: string;
  readonly guess_probability: number;
};

/**
 * The mistakes of a model.
 *
 * @example
 * ```ts
 * import type { Mistakes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const commonest = ({ confusions }: Mistakes): string | undefined => confusions[0]?.guess;
 * assert.equal(typeof commonest, "function");
 * ```
 */
export type Mistakes = {
  /** Predictions on `[MASK]` positions, and how many of them are wrong. */
  readonly predictions: number;
  readonly wrong: number;
  /** Pairs of true and guessed piece, the most frequent first; `count` times wrong in this way. */
  readonly confusions: readonly { readonly truth: string; readonly guess: string; readonly count: number }[];
  /** The wrong guesses the model was surest of. */
  readonly surest: readonly Mistake[];
  /** Predictions by the probability of the guess, in tenths: a calibrated model is right as often as it is sure. */
  readonly calibration: readonly {
    readonly from: number;
    readonly to: number;
    readonly predictions: number;
    readonly mean_probability: number;
    readonly accuracy: number;
    /** 95 %, Wilson's; every prediction counts as a draw of its own. */
    readonly accuracy_interval: readonly [number, number];
  }[];
};

/**
 * Options of `mistakes`.
 *
 * @example
 * ```ts
 * import { type MistakesOptions, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: MistakesOptions = { engine: referenceEngine(), pieceOf: (id) => `▁${id}`, count: 3 };
 * assert.equal(options.pieceOf(5), "▁5");
 * ```
 */
export type MistakesOptions = EvaluateOptions & {
  /** Piece of an id, as a tokenizer has it. */
  readonly pieceOf: (id: number) => string;
  /** How many confusions and mistakes are returned, default 10. */
  readonly count?: number;
};

type Found =
  & { readonly record: Int32Array; readonly at: number }
  & {
    readonly [Name in "label" | "guess" | "truthP" | "guessP"]: number;
  };

/** The predictions of a batch on `[MASK]` positions. */
function* predictionsOf({ batch, losses, guess, guessLog }: Outcome, mask: number): Generator<Found> {
  const P = batch.masked_lm_ids.length / batch.size;
  for (let row = 0; row < batch.size; row++) {
    const example = recordOf(batch, row);
    const record = originalPieces(example).slice(0, example.input_mask.lastIndexOf(1) + 1);
    for (let i = 0; i < P; i++) {
      const at = example.masked_lm_positions[i] ?? 0;
      if ((example.masked_lm_weights[i] ?? 0) === 0 || example.input_ids[at] !== mask) continue;
      const place = row * P + i;
      yield {
        record,
        at,
        label: example.masked_lm_ids[i] ?? 0,
        guess: guess?.[place] ?? 0,
        truthP: Math.exp(-(losses[place] ?? NaN)),
        guessP: Math.exp(guessLog?.[place] ?? NaN),
      };
    }
  }
}

function mistakeOf(
  { record, at, label, guess, truthP, guessP }: Found,
  pieceOf: (id: number) => string,
): Mistake {
  const from = Math.max(0, at - 8);
  const pieces = Array.from(
    record.subarray(from, at + 9),
    (id, i) => from + i === at ? "▁[MASK]" : pieceOf(id),
  );
  const context = pieces.map((piece) => /^\[(CLS|SEP)\]$/.test(piece) ? `▁${piece}▁` : piece).join("");
  return {
    context: context.replace(/▁+/g, " ").trim(),
    truth: pieceOf(label),
    truth_probability: truthP,
    guess: pieceOf(guess),
    guess_probability: guessP,
  };
}

/**
 * Lists the mistakes of a model on held-out examples.
 *
 * @param parameters Weights by name, as in a checkpoint.
 * @param config The architecture.
 * @param examples Held-out examples.
 * @param options Engine, pieces, how many.
 * @returns The commonest confusions, the surest mistakes, and how far the model's sureness can be trusted.
 * @throws {RangeError} When there is no example or an id is outside the vocabulary.
 * @example
 * ```ts
 * import { albertPreset, initialParameters, mistakes, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const config = albertPreset("tiny");
 * const { predictions, surest } = await mistakes(initialParameters(config, 1), config, [{
 *   input_ids: Int32Array.of(2, 4, 3, 8, 3),
 *   input_mask: Int32Array.of(1, 1, 1, 1, 1),
 *   segment_ids: Int32Array.of(0, 0, 0, 1, 1),
 *   masked_lm_positions: Int32Array.of(1),
 *   masked_lm_ids: Int32Array.of(9),
 *   masked_lm_weights: Float32Array.of(1),
 *   next_sentence_labels: Int32Array.of(0),
 * }], { engine: referenceEngine(), pieceOf: (id) => `▁${id}` });
 * assert.equal(predictions, 1);
 * assert.equal(surest[0]?.context, "2 [MASK] 3 8 3");
 * ```
 */
export async function mistakes(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  examples: TrainingExamples,
  options: MistakesOptions,
): Promise<Mistakes> {
  const { pieceOf, count = 10, maskTokenId = 4 } = options;
  const pairs = new Map<string, { truth: string; guess: string; count: number }>();
  const bins = Array.from({ length: 10 }, () => ({ p: 0, right: emptyRatio() }));
  let surest: Found[] = [];
  let [predictions, wrong] = [0, 0];
  for await (const outcome of outcomes(parameters, config, examples, { ...options, guesses: true })) {
    for (const found of predictionsOf(outcome, maskTokenId)) {
      const right = found.guess === found.label;
      predictions++;
      const bin = bins[Math.min(9, Math.floor(10 * found.guessP))] ?? { p: 0, right: emptyRatio() };
      bin.p += found.guessP;
      addRecord(bin.right, right ? 1 : 0, 1);
      if (right) continue;
      wrong++;
      surest.push(found);
      const [truth, guess] = [pieceOf(found.label), pieceOf(found.guess)];
      const pair = pairs.get(`${truth} ${guess}`) ?? { truth, guess, count: 0 };
      pair.count++;
      pairs.set(`${truth} ${guess}`, pair);
    }
    surest = surest.sort((a, b) => b.guessP - a.guessP).slice(0, count);
  }
  return {
    predictions,
    wrong,
    confusions: [...pairs.values()].sort((a, b) => b.count - a.count).slice(0, count),
    surest: surest.map((found) => mistakeOf(found, pieceOf)),
    calibration: bins.flatMap(({ p, right }, i) =>
      right.n === 0 ? [] : [{
        from: i / 10,
        to: (i + 1) / 10,
        predictions: right.n,
        mean_probability: p / right.n,
        accuracy: right.y / right.n,
        accuracy_interval: aroundShare(right),
      }]
    ),
  };
}
