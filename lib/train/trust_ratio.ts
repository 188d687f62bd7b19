/**
 * LAMB's trust ratios read off a checkpoint: what each weight's step is multiplied by. They are not stored; weights and
 * moments tell them.
 */
import type { Checkpoint } from "./checkpoint.ts";
import { isExcluded } from "./optimizer.ts";

const norm = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) ** 2;
  return Math.sqrt(sum);
};

/**
 * The trust ratio ‖w‖ / ‖u‖ of every kernel and table, u being the direction that the checkpoint's moments give.
 *
 * LAMB moves each weight by the rate times its own norm, so layers of any size move at the same pace. Biases and
 * LayerNorm weights have no ratio and are left out.
 *
 * @param checkpoint Weights and moments.
 * @param options `weightDecayRate`: that of the run, default 0.01.
 * @returns Ratios by name; 1 where a norm is 0, as in the update.
 * @throws {TypeError} When the checkpoint has no moments.
 * @example
 * ```ts
 * import { trustRatios } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ratios = trustRatios({
 *   parameters: { kernel: Float32Array.of(3, 4), bias: Float32Array.of(1) },
 *   m: { kernel: Float32Array.of(0.1, 0), bias: Float32Array.of(1) },
 *   v: { kernel: Float32Array.of(0.01, 0), bias: Float32Array.of(1) },
 * }, { weightDecayRate: 0 });
 * assert.deepEqual(Object.keys(ratios), ["kernel"]);
 * assert.ok(Math.abs(ratios["kernel"]! - 5) < 1e-3); // ! the update has length 1
 * ```
 */
export function trustRatios(
  { parameters, m, v }: Pick<Checkpoint, "parameters" | "m" | "v">,
  { weightDecayRate = 0.01 }: { readonly weightDecayRate?: number } = {},
): Record<string, number> {
  if (m === undefined || v === undefined) {
    throw new TypeError(
      "Cannot tell trust ratios: the checkpoint has no moments; take one of a training run",
    );
  }
  return Object.fromEntries(
    Object.entries(parameters).filter(([name]) => !isExcluded(name)).map(([name, weights]) => {
      const direction = Float64Array.from(
        weights,
        (w, i) => (m[name]?.[i] ?? 0) / (Math.sqrt(v[name]?.[i] ?? 0) + 1e-6) + weightDecayRate * w,
      );
      const [ofWeights, ofDirection] = [norm(weights), norm(direction)];
      return [name, ofWeights > 0 && ofDirection > 0 ? ofWeights / ofDirection : 1];
    }),
  );
}
