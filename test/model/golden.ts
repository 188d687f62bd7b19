/** The golden models: inputs, weights, outputs and gradients of the original program. */
import { type AlbertConfig, parseAlbertConfig } from "../../lib/config/mod.ts";
import { constant, type Tensor, type TensorType } from "../../lib/tensor/mod.ts";
import type { PretrainingInputs } from "../../lib/model/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";

export type Values = { readonly shape: number[]; readonly data: number[] };
export type Case = {
  readonly config: unknown;
  readonly inputs: Readonly<Record<string, number[][]>>;
  readonly variables_in_creation_order: string[];
  readonly params: Readonly<Record<string, Values>>;
  readonly outputs: { readonly layers: Values[] } & Readonly<Record<string, Values>>;
  readonly grads: Readonly<Record<string, Values>>;
  readonly optimizer: {
    readonly schedule: { init_lr: number; num_train_steps: number; num_warmup_steps: number };
    readonly steps: number;
    readonly trajectory: { loss_before: number }[];
    readonly final_params: Readonly<Record<string, Values>>;
    readonly final_slots: Readonly<Record<string, Values>>;
  };
};

export const caseNames = ["shared_lamb", "two_groups_inner2_lamb"] as const;

export function goldenCase(name: (typeof caseNames)[number]): Case & { readonly albert: AlbertConfig } {
  const found = goldenAlbert<Record<string, Case>>("model")[name];
  if (found === undefined) throw new Error(`no golden case ${name}`);
  return { ...found, albert: parseAlbertConfig(found.config) };
}

/** Names, types and values of weights, as a program takes them. */
export function weightsOf(values: Readonly<Record<string, Values>>): {
  readonly types: Record<string, TensorType>;
  readonly values: Record<string, Float32Array>;
} {
  const entries = Object.entries(values).map(([name, value]) => [name.replace(/:0$/, ""), value] as const);
  return {
    types: Object.fromEntries(entries.map(([name, { shape }]) => [name, { dtype: "float32", shape }])),
    values: Object.fromEntries(entries.map(([name, { data }]) => [name, Float32Array.from(data)])),
  };
}

export function inputsOf({ inputs }: Case): PretrainingInputs {
  const ints = (name: string, shape?: number[]): Tensor => {
    const rows = inputs[name] ?? [];
    return constant(Int32Array.from(rows.flat()), { shape: shape ?? [rows.length, rows[0]?.length ?? 0] });
  };
  const weights = inputs["masked_lm_weights"] ?? [];
  return {
    inputIds: ints("input_ids"),
    inputMask: ints("input_mask"),
    segmentIds: ints("segment_ids"),
    maskedLmPositions: ints("masked_lm_positions"),
    maskedLmIds: ints("masked_lm_ids"),
    maskedLmWeights: constant(weights),
    nextSentenceLabels: ints("next_sentence_labels", [weights.length]),
  };
}

/** Largest |a - b| / max(1, |b|). */
export function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const wish = expected[i] ?? NaN;
    const gap = Math.abs((actual[i] ?? NaN) - wish) / Math.max(1, Math.abs(wish));
    most = Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }
  return most;
}
