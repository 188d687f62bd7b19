/**
 * What a run costs before it runs: weights by part, arithmetic of a step, memory. Counted are the multiplications and
 * additions of matrix products, two each; the backward pass has twice those of the forward pass; recomputation is left
 * out, as MFU wants it (see `measurePeak`).
 */
import type { AlbertConfig, PretrainingConfig } from "../config/mod.ts";
import { albertParameters } from "../model/mod.ts";
import { sizeOf } from "../tensor/mod.ts";

/**
 * The cost of a run.
 *
 * @example
 * ```ts
 * import type { RunCost } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const gigabytes = ({ stateBytes, activationBytes }: RunCost): number => (stateBytes + activationBytes) / 1e9;
 * assert.equal(typeof gigabytes, "function");
 * ```
 */
export type RunCost = {
  /** Weights by part: embeddings, mapping (from E to H, where they differ), layers (shared), pooler, heads. */
  readonly parameters: { readonly [part: string]: number };
  /** Weights in all. */
  readonly total: number;
  /** Positions of a step, padding included. */
  readonly tokens: number;
  /** Floating-point operations of a step's matrix products. */
  readonly flops: number;
  /** Bytes of weights, both moments and gradients; one copy more with accumulation. */
  readonly stateBytes: number;
  /** Bytes of what the forward pass leaves for the backward pass: an estimate, within 15 % of the engines in most cases. */
  readonly activationBytes: number;
};

/**
 * What a run will cost.
 *
 * @param config The architecture.
 * @param run The run: batch, lengths, accumulation, remat.
 * @param options `loops`: the engine's property: whether it compiles whole programs (xla) or runs kernel by kernel (tfjs),
 * which store different values; default true.
 * @returns Weights, operations and bytes.
 * @example
 * ```ts
 * import { albertPreset, estimateCost, parsePretrainingConfig } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { total, parameters, tokens } = estimateCost(albertPreset("base"), parsePretrainingConfig({ train_batch_size: 8 }));
 * assert.equal(total, 11_813_810);
 * assert.equal(parameters["mapping"], 98_304 + 768); // 128 to 768
 * assert.equal(parameters["layers"], 7_087_872); // one block, shared by all
 * assert.equal(tokens, 8 * 512);
 * ```
 */
export function estimateCost(
  config: AlbertConfig,
  run: PretrainingConfig,
  { loops = true }: { readonly loops?: boolean } = {},
): RunCost {
  const parameters: Record<string, number> = {};
  for (const { name, shape } of albertParameters(config)) {
    const part = partOf(name);
    parameters[part] = (parameters[part] ?? 0) + sizeOf(shape);
  }
  const total = Object.values(parameters).reduce((sum, count) => sum + count, 0);
  const records = run.train_batch_size * run.gradient_accumulation_steps;
  const copies = run.gradient_accumulation_steps > 1 ? 5 : 4;
  return {
    parameters,
    total,
    tokens: records * run.max_seq_length,
    flops: 3 * records * forwardFlops(config, run.max_seq_length, run.max_predictions_per_seq),
    stateBytes: 4 * copies * total,
    activationBytes: 4 * run.train_batch_size * activations(config, run, loops),
  };
}

/** The part of the model that a weight belongs to. */
function partOf(name: string): string {
  if (name.startsWith("cls/")) return "heads";
  const [, part = name, inner] = name.split("/");
  return part !== "encoder" ? part : inner === "transformer" ? "layers" : "mapping";
}

/** Operations of the forward pass of one record of S pieces and P predictions. */
function forwardFlops(config: AlbertConfig, S: number, P: number): number {
  const { vocab_size: V, embedding_size: E, hidden_size: H, intermediate_size: I } = config;
  const blocks = config.num_hidden_layers * config.inner_group_num;
  const dense = S * (4 * H * H + 2 * H * I); // query, key, value, output; both of the feed-forward
  const attention = 2 * S * S * H; // scores, and the mix of values
  const mapping = E === H ? 0 : S * E * H;
  const heads = H * H + 2 * H + P * (H * E + E * V);
  return 2 * (blocks * (dense + attention) + mapping + heads);
}

/** The longest loop over layers that the xla engine writes out; a longer one keeps more of each layer. */
const writtenOut = 12;

/**
 * Numbers that one record keeps for the backward pass, by what a layer keeps in units of S×H, S×I and A×S². The units are
 * fitted to what XLA says of compiled steps and to the arena that tfjs' programs are given, from H 64 to 1024, 2 to 24
 * layers, 16 to 512 pieces.
 */
function activations(
  config: AlbertConfig,
  { max_seq_length: S, max_predictions_per_seq: P, remat }: PretrainingConfig,
  loops: boolean,
): number {
  const { hidden_size: H, intermediate_size: I, num_attention_heads: A, vocab_size: V } = config;
  const blocks = config.num_hidden_layers * config.inner_group_num;
  const keeps = (hidden: number, inner: number, scores: number): number =>
    S * (hidden * H + inner * I) + scores * A * S * S;
  const heads = 2 * P * V + 6 * S * H;
  if (!loops) { // remat saves next to nothing here: what is computed again is computed early
    const dropout = config.hidden_dropout_prob + config.attention_probs_dropout_prob > 0 ? 2 : 0;
    return blocks * keeps(10 + dropout, 2, 3 + dropout) + heads;
  }
  const inLoop = keeps(17, 4, 2.4);
  if (remat) return blocks * S * H + inLoop;
  if (config.num_hidden_layers / config.num_hidden_groups > writtenOut) return blocks * inLoop + heads;
  return (blocks - 0.75) * keeps(11, 3, 1) + heads; // of the last layer only the rows that are read are computed
}
