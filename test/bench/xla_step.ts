// The training step of the library on an engine, at a size that a bench gives.
import { type AlbertConfig, albertPreset, initialParameters, parsePretrainingConfig } from "../../lib/mod.ts";
import { deviceArray, type Engine } from "../../lib/tensor/mod.ts";
import {
  type DeviceState,
  makeTrainStep,
  parameterTypes,
  uploadAll,
  zeroValues,
} from "../../lib/train/step.ts";
import { pretrainingObjective } from "../../lib/train/pretraining_objective.ts";
import { type BatchArrays, batchTypes, totalsLength } from "../../lib/train/totals.ts";

/** A model and its batch. */
export type Size = {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly pieces: number;
  /** Numbers of a piece's embedding, 128 if not given. */
  readonly embedding?: number;
  readonly batch: number;
  readonly sequence: number;
  readonly predictions: number;
  readonly dropout: number;
  readonly threads: number;
};

function configOf(
  { layers, hidden, heads, intermediate, pieces, embedding = 128, dropout }: Size,
): AlbertConfig {
  return {
    ...albertPreset("tiny"),
    vocab_size: pieces,
    embedding_size: embedding,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: intermediate,
    max_position_embeddings: 512,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
  };
}

/** A batch of the right shapes: all positions used, predictions spread over the sequence. */
function batchOf({ batch, sequence, predictions, pieces }: Size): BatchArrays {
  const value = (name: string, i: number): number => {
    if (name.includes("positions")) return (i % predictions) * Math.floor(sequence / predictions);
    if (name === "segment_ids") return i % sequence > sequence / 2 ? 1 : 0;
    if (name === "input_mask" || name.includes("weights")) return 1;
    return (i * 7919) % (name.includes("label") ? 2 : pieces);
  };
  const arrays = Object.entries(batchTypes(batch, sequence, predictions)).map(([name, { dtype, shape }]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: count }, (_, i) => value(name, i));
    return [name, dtype === "float32" ? Float32Array.from(values) : Int32Array.from(values)];
  });
  return Object.fromEntries(arrays) as BatchArrays;
}

/** Compiles the step; each call makes one and reads its sums. */
export async function xlaStep(engine: Engine, size: Size): Promise<() => Promise<void>> {
  const config = configOf(size);
  const run = parsePretrainingConfig({
    max_seq_length: size.sequence,
    max_predictions_per_seq: size.predictions,
    train_batch_size: size.batch,
  });
  const program = await makeTrainStep(pretrainingObjective({ config, run }), run, engine);
  const types = parameterTypes(config);
  let state: DeviceState = {
    parameters: await uploadAll(initialParameters(config, 1), types, engine),
    m: await uploadAll(zeroValues(types), types, engine),
    v: await uploadAll(zeroValues(types), types, engine),
    totals: await deviceArray(new Float32Array(totalsLength + 2), { engine }),
  };
  const batch = batchOf(size);
  let step = 0;
  return async () => {
    state = await program.run(state, [batch], { step: step++, learningRate: 0.003 });
    await state.totals.data();
  };
}
