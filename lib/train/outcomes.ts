/**
 * What a model says about every prediction of a source, batch by batch: the losses, what is right and, when asked for, the
 * likeliest piece. Detailed metrics and lists of mistakes are made of it.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { pretrainingLoss } from "../model/mod.ts";
import { argmax, compile, logSoftmax, reduceMax, reshape, type Tensor } from "../tensor/mod.ts";
import { type Batch, readBatches, type TrainingExample, type TrainingExamples } from "./batches.ts";
import { checkIds, type EvaluateOptions } from "./evaluate.ts";
import { parameterTypes, uploadAll } from "./step.ts";
import { batchArrays, batchTypes, correctOnes, modelInputs } from "./totals.ts";

type Values = ArrayLike<number>;

/** The outcome of one batch; the program's rows beyond the batch are padding. */
export type Outcome = {
  readonly batch: Batch;
  /** Of every prediction, [B*P]: −log of the probability of the true piece, and whether no piece scored higher. */
  readonly losses: Values;
  readonly right: Values;
  /** Of every order, [B]. */
  readonly order: Values;
  readonly orderRight: Values;
  /** When asked for, [B*P]: the likeliest piece, and the logarithm of its probability. */
  readonly guess?: Values;
  readonly guessLog?: Values;
};

function build(
  config: AlbertConfig,
  B: number,
  S: number,
  P: number,
  { engine }: EvaluateOptions,
  guesses: boolean,
) {
  return compile(
    ({ parameters, batch }) => {
      const out = pretrainingLoss(parameters, modelInputs(batch), config);
      const logits = out.maskedLmLogits; // [B*P, V]
      const found: Record<string, Tensor> = {
        losses: out.maskedLmLosses,
        right: correctOnes(logits, reshape(batch.masked_lm_ids, [B * P])),
        order: out.sentenceOrderLosses,
        orderRight: correctOnes(out.sentenceOrderLogits, batch.next_sentence_labels),
        ...(guesses ? { guess: argmax(logits), guessLog: reduceMax(logSoftmax(logits), [-1]) } : {}),
      };
      return found;
    },
    { parameters: parameterTypes(config), batch: batchTypes(B, S, P) },
    { engine },
  );
}

/** Runs the model over a source. */
export async function* outcomes(
  parameters: { readonly [name: string]: Float32Array },
  config: AlbertConfig,
  examples: TrainingExamples,
  options: EvaluateOptions & { readonly guesses?: boolean },
): AsyncGenerator<Outcome> {
  const { engine, batchSize = 64, maxBatches = Infinity, maskTokenId = 4, signal, guesses = false } = options;
  const uploaded = await uploadAll(parameters, parameterTypes(config), engine);
  let program: Awaited<ReturnType<typeof build>> | undefined;
  let batches = 0;
  try {
    for await (const batch of readBatches(examples, { batchSize })) {
      if (batches++ >= maxBatches) break;
      signal?.throwIfAborted();
      checkIds(batch, config);
      const [S, P] = [batch.input_ids.length / batch.size, batch.masked_lm_ids.length / batch.size];
      program ??= await build(config, batchSize, S, P, options, guesses);
      const out = await program.run({
        parameters: uploaded,
        batch: batchArrays(batch, maskTokenId, batchSize),
      });
      const values = await Promise.all(
        Object.entries(out).map(async ([name, array]) => {
          const data = await array.data();
          array.dispose();
          return [name, data] as const;
        }),
      );
      yield { batch, ...Object.fromEntries(values) as unknown as Omit<Outcome, "batch"> };
    }
  } finally {
    Object.values(uploaded).forEach((array) => array.dispose());
    program?.dispose();
  }
  if (batches === 0) throw new RangeError("Cannot evaluate: the source holds no example");
}

/** One row of a batch as a record. */
export function recordOf(batch: Batch, row: number): TrainingExample {
  const part = <Values extends Int32Array | Float32Array>(values: Values): Values => {
    const width = values.length / batch.size;
    return values.subarray(row * width, (row + 1) * width) as Values;
  };
  return {
    input_ids: part(batch.input_ids),
    input_mask: part(batch.input_mask),
    segment_ids: part(batch.segment_ids),
    masked_lm_positions: part(batch.masked_lm_positions),
    masked_lm_ids: part(batch.masked_lm_ids),
    masked_lm_weights: part(batch.masked_lm_weights),
    next_sentence_labels: part(batch.next_sentence_labels),
  };
}
