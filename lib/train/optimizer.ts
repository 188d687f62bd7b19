/**
 * The update rules LAMB and AdamW as functions over named tensors, clipping by the global norm, and the learning rate.
 * They are those of google-research/albert (optimization.py, lamb_optimizer.py): no bias correction, epsilon outside
 * the root, decay inside the trust ratio, and names that match LayerNorm, layer_norm or bias are neither decayed nor
 * scaled. LAMB: You et al. 2019, arXiv 1904.00962.
 */
import type { NamedTensors } from "../model/mod.ts";
import {
  add,
  and,
  compare,
  div,
  maximum,
  mul,
  reduceSum,
  select,
  sqrt,
  sub,
  type Tensor,
} from "../tensor/mod.ts";

const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-6;

/**
 * Both moments of every weight.
 *
 * @example
 * ```ts
 * import { type Moments, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fresh: Moments = { m: { kernel: zeros([2, 2]) }, v: { kernel: zeros([2, 2]) } };
 * assert.deepEqual(Object.keys(fresh), ["m", "v"]);
 * ```
 */
export type Moments = { readonly m: NamedTensors; readonly v: NamedTensors };

/**
 * Weights and moments after a step.
 *
 * @example
 * ```ts
 * import type { Updated } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const names = ({ parameters }: Updated): string[] => Object.keys(parameters);
 * assert.equal(typeof names, "function");
 * ```
 */
export type Updated = Moments & { readonly parameters: NamedTensors };

/**
 * Options of an update.
 *
 * @example
 * ```ts
 * import type { UpdateOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: UpdateOptions = { learningRate: 0.003, weightDecayRate: 0.01 };
 * assert.equal(options.learningRate, 0.003);
 * ```
 */
export type UpdateOptions = {
  /** Rate of this step, a scalar tensor or a number. */
  readonly learningRate: Tensor | number;
  /** Decay of kernels and tables, default 0.01. */
  readonly weightDecayRate?: number;
};

/** Whether a weight is left out of decay and of the trust ratio. */
export function isExcluded(name: string): boolean {
  return /LayerNorm|layer_norm|bias/.test(name);
}

const squares = (x: Tensor): Tensor => reduceSum(mul(x, x));

/**
 * Scales all gradients so that their common 2-norm is at most `limit`.
 *
 * @param gradients By name.
 * @param limit Largest norm allowed, default 1.
 * @returns The scaled gradients and the norm before scaling, a scalar.
 * @example
 * ```ts
 * import { clipByGlobalNorm, constant } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { gradients, norm } = clipByGlobalNorm({ a: constant([3]), b: constant([4]) });
 * assert.equal((await norm.data())[0], 5);
 * assert.ok(Math.abs((await gradients["b"]!.data())[0]! - 0.8) < 1e-6); // ! b is given
 * ```
 */
export function clipByGlobalNorm(
  gradients: NamedTensors,
  limit: number = 1,
): { readonly gradients: NamedTensors; readonly norm: Tensor } {
  const norm = sqrt(Object.values(gradients).map(squares).reduce((sum, part) => add(sum, part)));
  const scale = div(limit, maximum(norm, limit)); // limit / max(norm, limit)
  return {
    gradients: Object.fromEntries(Object.entries(gradients).map(([name, g]) => [name, mul(g, scale)])),
    norm,
  };
}

function update(
  parameters: NamedTensors,
  gradients: NamedTensors,
  moments: Moments,
  { learningRate, weightDecayRate = 0.01 }: UpdateOptions,
  ratio?: (w: Tensor, u: Tensor) => Tensor,
): Updated {
  const next = { parameters: {}, m: {}, v: {} } as Record<keyof Updated, Record<string, Tensor>>;
  for (const [name, w] of Object.entries(parameters)) {
    const [g, m0, v0] = [gradients[name], moments.m[name], moments.v[name]];
    if (g === undefined || m0 === undefined || v0 === undefined) {
      throw new TypeError(`Cannot update ${name}: its gradient or a moment is missing`);
    }
    const m = add(mul(m0, beta1), mul(g, 1 - beta1));
    const v = add(mul(v0, beta2), mul(mul(g, g), 1 - beta2));
    const step = div(m, add(sqrt(v), epsilon));
    const excluded = isExcluded(name);
    const u = excluded || weightDecayRate === 0 ? step : add(step, mul(w, weightDecayRate));
    next.m[name] = m;
    next.v[name] = v;
    next.parameters[name] = sub(
      w,
      mul(u, excluded || ratio === undefined ? learningRate : mul(ratio(w, u), learningRate)),
    );
  }
  return next;
}

/** ‖w‖ / ‖u‖, or 1 where one of the norms is 0. */
function trustRatio(w: Tensor, u: Tensor): Tensor {
  const [normW, normU] = [sqrt(squares(w)), sqrt(squares(u))];
  const both = and(compare(normW, "gt", 0), compare(normU, "gt", 0));
  return select(both, div(normW, select(both, normU, 1)), 1);
}

/**
 * One step of LAMB.
 *
 * @param parameters Weights by name.
 * @param gradients Gradients by the same names, clipped already.
 * @param moments Moments by the same names.
 * @param options Learning rate and weight decay.
 * @returns Weights and moments after the step.
 * @throws {TypeError} When a gradient or moment is missing.
 * @example
 * ```ts
 * import { constant, lamb, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { parameters } = lamb({ kernel: constant([3, 4]) }, { kernel: constant([1, 1]) }, {
 *   m: { kernel: zeros([2]) },
 *   v: { kernel: zeros([2]) },
 * }, { learningRate: 0.1, weightDecayRate: 0 });
 * const [a, b] = await parameters["kernel"]!.data(); // ! kernel is given
 * // The step has the length of the weights, 5, times the rate.
 * assert.ok(Math.abs(Math.hypot(a! - 3, b! - 4) - 0.5) < 1e-5); // ! two values
 * ```
 */
export function lamb(
  parameters: NamedTensors,
  gradients: NamedTensors,
  moments: Moments,
  options: UpdateOptions,
): Updated {
  return update(parameters, gradients, moments, options, trustRatio);
}

/**
 * One step of AdamW: LAMB without the trust ratio.
 *
 * @param parameters Weights by name.
 * @param gradients Gradients by the same names, clipped already.
 * @param moments Moments by the same names.
 * @param options Learning rate and weight decay.
 * @returns Weights and moments after the step.
 * @throws {TypeError} When a gradient or moment is missing.
 * @example
 * ```ts
 * import { adamw, constant, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { parameters } = adamw({ bias: constant([1]) }, { bias: constant([2]) }, {
 *   m: { bias: zeros([1]) },
 *   v: { bias: zeros([1]) },
 * }, { learningRate: 0.1 });
 * // Without bias correction the first step is 0.1 / √0.001 times the rate.
 * assert.ok(Math.abs((await parameters["bias"]!.data())[0]! - (1 - 0.1 * Math.sqrt(10))) < 1e-4); // ! one value
 * ```
 */
export function adamw(
  parameters: NamedTensors,
  gradients: NamedTensors,
  moments: Moments,
  options: UpdateOptions,
): Updated {
  return update(parameters, gradients, moments, options);
}

/**
 * What the learning rate depends on, by the names of the run's config.
 *
 * @example
 * ```ts
 * import { learningRate, type Schedule } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const schedule: Schedule = { learning_rate: 1, num_train_steps: 10, num_warmup_steps: 2 };
 * assert.equal(learningRate(10, schedule), 0);
 * ```
 */
export type Schedule = {
  readonly learning_rate: number;
  readonly num_train_steps: number;
  readonly num_warmup_steps: number;
  /** Exponent of the decay, default 1. */
  readonly poly_power?: number;
  /** Step at which the warm-up begins, default 0. */
  readonly start_warmup_step?: number;
};

/**
 * The learning rate of a step, the step counted before its update: linear warm-up, then polynomial decay to 0. The clock
 * of the decay runs from step 0, so the rate drops a little where the warm-up ends.
 *
 * @param step Steps done before this one, from 0.
 * @param schedule Rate, lengths, power.
 * @returns The rate, a float32; negative before `start_warmup_step`, as in the reference.
 * @example
 * ```ts
 * import { learningRate } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const schedule = { learning_rate: 0.001, num_train_steps: 1000, num_warmup_steps: 100 };
 * assert.equal(learningRate(0, schedule), 0);
 * assert.equal(learningRate(50, schedule), Math.fround(0.0005));
 * assert.equal(learningRate(500, schedule), Math.fround(0.0005));
 * ```
 */
export function learningRate(
  step: number,
  { learning_rate, num_train_steps, num_warmup_steps, poly_power = 1, start_warmup_step = 0 }: Schedule,
): number {
  // Rounded to float32 after each operation, as the reference computes it.
  const f32 = Math.fround;
  const sinceWarmup = step - start_warmup_step;
  if (num_warmup_steps > 0 && sinceWarmup < num_warmup_steps) {
    return f32(f32(learning_rate) * f32(sinceWarmup / num_warmup_steps));
  }
  const left = f32(1 - f32(Math.min(step, num_train_steps) / num_train_steps));
  return f32(f32(learning_rate) * f32(left ** poly_power));
}
