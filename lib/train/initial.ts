/**
 * Fresh weights, computed on the host, so that a seed gives the same ones on every engine. Which weight starts how is said
 * by `albertParameters`; the truncated normal is TensorFlow's: drawn again beyond two deviations.
 */
import type { AlbertConfig } from "../config/mod.ts";
import { albertParameters, type ParameterSpec } from "../model/mod.ts";
import { hashBits, keyWords, sizeOf } from "../tensor/mod.ts";

const uniform = (seed: readonly [number, number], index: number): number =>
  (hashBits(seed[0], seed[1], index) + 0.5) / 2 ** 32;

/** Normal numbers by Box and Muller from hashed counters; a number beyond 2 is drawn again, as in TensorFlow. */
function truncatedNormal(length: number, deviation: number, key: readonly [number, number]): Float32Array {
  const values = new Float32Array(length);
  let index = 0;
  for (let i = 0; i < length;) {
    const radius = Math.sqrt(-2 * Math.log(uniform(key, index++)));
    const normal = radius * Math.cos(2 * Math.PI * uniform(key, index++));
    if (Math.abs(normal) <= 2) values[i++] = normal * deviation;
  }
  return values;
}

/**
 * Fresh weights: kernels and tables from a truncated normal of deviation `initializer_range`, biases and beta 0, gamma 1.
 *
 * @param config The architecture.
 * @param seed A whole number, 0 to 2^53 - 1.
 * @returns Values by name, row-major.
 * @throws {RangeError} When the seed is no such number.
 * @example
 * ```ts
 * import { albertPreset, initialParameters } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const weights = initialParameters(albertPreset("tiny"), 1);
 * assert.equal(weights["cls/predictions/output_bias"]?.every((value) => value === 0), true);
 * assert.ok(weights["bert/embeddings/word_embeddings"]?.every((value) => Math.abs(value) <= 0.2));
 * ```
 */
export function initialParameters(config: AlbertConfig, seed: number): Record<string, Float32Array> {
  return initialValues(albertParameters(config), config, seed);
}

/** Fresh values of any list of weights; each depends on its place in the list. */
export function initialValues(
  weights: readonly ParameterSpec[],
  config: AlbertConfig,
  seed: number,
): Record<string, Float32Array> {
  const [low, high] = keyWords(seed) as unknown as readonly [number, number]; // two words
  const entries = weights.map(({ name, shape, init }, index) => {
    const length = sizeOf(shape);
    // A key per weight: hashed seed and position in the list.
    const key = [hashBits(low, high, 2 * index), 2 * index + 1] as const;
    const values = init === "normal"
      ? truncatedNormal(length, config.initializer_range, key)
      : new Float32Array(length).fill(init === "ones" ? 1 : 0);
    return [name, values] as const;
  });
  return Object.fromEntries(entries);
}
