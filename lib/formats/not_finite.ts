/** NaN and infinity among weights: one of them spoils every number that is computed from it, so readers and writers refuse them. */

/**
 * The place of the first value that is NaN or infinite.
 *
 * @param values Any values.
 * @returns Its index, or -1 when all are numbers.
 * @example
 * ```ts
 * import { firstNotFinite } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(firstNotFinite(Float32Array.of(1, NaN, Infinity)), 1);
 * assert.equal(firstNotFinite(Float32Array.of(1, 2)), -1);
 * ```
 */
export function firstNotFinite(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * 0; // 0 for numbers, else NaN: one pass, no branch
  return sum === 0 ? -1 : values.findIndex((value) => !Number.isFinite(value));
}
