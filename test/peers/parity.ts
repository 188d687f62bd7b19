/** The same training twice: ours on an engine, and pretrain_parity.py in plain JAX on the same weights and batches. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AlbertConfig,
  albertPreset,
  parsePretrainingConfig,
  type PretrainingConfig,
} from "../../lib/config/mod.ts";
import { readSafetensors, type SafetensorsTensor, writeSafetensors } from "../../lib/formats/mod.ts";
import { albertParameters } from "../../lib/model/mod.ts";
import type { Engine } from "../../lib/tensor/mod.ts";
import { initialParameters, pretrain, readBatches, type TrainingExample } from "../../lib/train/mod.ts";
import { examplesOf, kjvDocuments, kjvTokenizer } from "../train/kjv.ts";
import { runPython } from "./python.ts";

/** A training to compare. */
export type Case = {
  readonly config: AlbertConfig;
  readonly run: PretrainingConfig;
  readonly examples: readonly TrainingExample[];
};

/** What a training left. */
export type Curve = {
  readonly losses: readonly number[];
  readonly weights: { readonly [name: string]: Float32Array };
};

/** Real text: the first chapters of the embedded Bible, its own tokenizer, whole-word n-gram masks, no dropout. */
export async function parityCase(
  architecture: Partial<AlbertConfig>,
  flags: Partial<PretrainingConfig>,
): Promise<Case> {
  const config = albertPreset("tiny", {
    vocab_size: 1000,
    ...architecture,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  });
  const run = parsePretrainingConfig({
    max_seq_length: 64,
    max_predictions_per_seq: 10,
    train_batch_size: 8,
    num_train_steps: 200,
    num_warmup_steps: 20,
    learning_rate: 0.00176,
    shuffle_buffer: 0,
    log_every: 1,
    seed: 3,
    ...flags,
  });
  const corpus = await kjvDocuments(0.1);
  const tokenizer = await kjvTokenizer(corpus, config.vocab_size);
  const examples = examplesOf(corpus.train, tokenizer, 1, {
    max_seq_length: run.max_seq_length,
    max_predictions_per_seq: run.max_predictions_per_seq,
    dupe_factor: 2,
  });
  return { config, run, examples };
}

/** Ours. */
export async function ourCurve({ config, run, examples }: Case, engine: Engine): Promise<Curve> {
  const { log, parameters } = await pretrain({ config, run, examples }, { engine });
  return { losses: log.map(({ loss }) => loss), weights: parameters };
}

/** The peer's; `changed` makes it train otherwise, to see that the comparison notices. */
export async function peerCurve(
  { config, run, examples }: Case,
  { python, folder, changed = {} }: {
    readonly python: string;
    readonly folder: string;
    readonly changed?: { readonly [name: string]: unknown };
  },
): Promise<Curve> {
  mkdirSync(folder, { recursive: true });
  const steps: { [name: string]: (Int32Array | Float32Array)[] } = {};
  const batches = readBatches(examples, { batchSize: run.train_batch_size, repeat: true, seed: run.seed });
  for (let step = 0; step < run.num_train_steps; step++) {
    const { value } = await batches.next();
    for (const [name, values] of Object.entries(value ?? {})) {
      if (typeof values !== "number") (steps[name] ??= []).push(values as Int32Array);
    }
  }
  const stacked = Object.entries(steps).map(([name, list]): [string, SafetensorsTensor] => {
    const width = (list[0]?.length ?? 0) / run.train_batch_size;
    const shape = [list.length, run.train_batch_size, width];
    const flat = list.flatMap((values) => Array.from(values));
    return name === "masked_lm_weights"
      ? [name, { dtype: "F32", shape, data: Float32Array.from(flat) }]
      : [name, { dtype: "I32", shape, data: Int32Array.from(flat) }];
  });
  const initial = initialParameters(config, run.seed);
  const weights = albertParameters(config).map(({ name, shape }): [string, SafetensorsTensor] => [
    name,
    { dtype: "F32", shape, data: initial[name] ?? new Float32Array(0) },
  ]);
  writeFileSync(join(folder, "batches.safetensors"), writeSafetensors(Object.fromEntries(stacked)));
  writeFileSync(join(folder, "weights.safetensors"), writeSafetensors(Object.fromEntries(weights)));
  const settings = { config, run: { ...run, epsilon: 1e-6, ...changed } };
  writeFileSync(join(folder, "config.json"), JSON.stringify(settings));
  const losses = runPython(python, "pretrain_parity.py", [folder]).trim().split("\n").map(Number);
  const { tensors } = readSafetensors(readFileSync(join(folder, "final.safetensors")));
  const final = Object.entries(tensors).map(([name, { data }]) => [name, data as Float32Array]);
  return { losses, weights: Object.fromEntries(final) };
}

/** Largest relative distance of two loss curves, and the step (from 1) where it is. */
export function apart(ours: Curve, peer: Curve): { readonly most: number; readonly step: number } {
  let [most, step] = ours.losses.length === peer.losses.length ? [0, 0] : [Infinity, 0];
  peer.losses.forEach((loss, i) => {
    const gap = Math.abs((ours.losses[i] ?? NaN) - loss) / Math.abs(loss);
    if (!(gap <= most)) [most, step] = [gap, i + 1];
  });
  return { most, step };
}

/**
 * Largest distance of the last weights, relative to the 2-norm of each variable, and the variable. Biases of keys are left
 * out: softmax is blind to them, so their gradient is rounding noise.
 */
export function weightsApart(ours: Curve, peer: Curve): { readonly most: number; readonly name: string } {
  let [most, worst] = [0, ""];
  for (const [name, values] of Object.entries(peer.weights)) {
    if (name.endsWith("/key/bias")) continue;
    let [gap, size] = [0, 0];
    values.forEach((value, i) => {
      gap += (value - (ours.weights[name]?.[i] ?? NaN)) ** 2;
      size += value ** 2;
    });
    const relative = Math.sqrt(gap / size);
    if (!(relative <= most)) [most, worst] = [relative, name];
  }
  return { most, name: worst };
}
