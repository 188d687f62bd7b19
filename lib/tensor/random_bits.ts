/**
 * Counter-based randomness: bits are a hash of a key and an index, so they do not depend on the engine, on the order of
 * evaluation or on how work is split, and a recomputed or resumed step draws the same numbers. Each key is used once;
 * `splitKey` makes new ones.
 *
 * The hash of element i under key (k0, k1), all modulo 2^32: h = mix(i × 0x9E3779B9 + k0), then mix((h ^ k1) + i), with
 * mix(x): x ^= x >> 16; x ×= 0x7FEB352D; x ^= x >> 15; x ×= 0x846CA68B; x ^= x >> 16 (the constants of C. Wellons'
 * search for low-bias 32-bit mixers).
 */
import { mul, shiftRightLogical } from "./arithmetic.ts";
import { cast, compare, select } from "./elementwise.ts";
import { describe, floating, node } from "./graph.ts";
import { constant, reshape, slice } from "./layout.ts";
import type { GradientRules } from "./rules.ts";
import type { Shape, Tensor } from "./types.ts";

function mix(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return x ^ (x >>> 16);
}

/**
 * The bits of element `index` under a key, as engines on the host compute them.
 *
 * @example
 * ```ts
 * import { hashBits, keyWords, randomBits, randomKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [k0 = 0, k1 = 0] = keyWords(7);
 * assert.deepEqual(Array.from(await randomBits(randomKey(7), [2]).data()), [hashBits(k0, k1, 0), hashBits(k0, k1, 1)]);
 * ```
 */
export function hashBits(k0: number, k1: number, index: number): number {
  const h = mix((Math.imul(index, 0x9e3779b9) + k0) | 0);
  return mix(((h ^ k1) + index) | 0) >>> 0;
}

/**
 * A random key from a seed.
 *
 * @param seed A whole number, 0 to 2^53 - 1.
 * @returns uint32 [2].
 * @throws {RangeError} When the seed is no such number.
 * @example
 * ```ts
 * import { randomKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(Array.from(await randomKey(2 ** 32 + 5).data()), [5, 1]);
 * ```
 */
export function randomKey(seed: number): Tensor {
  return constant(keyWords(seed));
}

/**
 * The two words of a seed's key, for programs that take the key as an input.
 *
 * @example
 * ```ts
 * import { keyWords } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(keyWords(2 ** 32 + 5), Uint32Array.of(5, 1));
 * ```
 */
export function keyWords(seed: number): Uint32Array {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(
      `Cannot make a random key: the seed must be a whole number from 0 to 2^53 - 1, it is ${seed}`,
    );
  }
  return Uint32Array.of(seed >>> 0, Math.floor(seed / 2 ** 32));
}

/**
 * 32 random bits per element.
 *
 * @param key uint32 [2].
 * @param shape Wanted shape.
 * @param options `split`: on several devices each one goes on where the one before ends, as if the first dimension were
 * divided among them; default false, the same bits on all.
 * @returns uint32.
 * @throws {TypeError} When the key is not uint32 [2].
 * @example
 * ```ts
 * import { randomBits, randomKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const bits = await randomBits(randomKey(1), [4]).data();
 * assert.equal(new Set(bits).size, 4);
 * ```
 */
export function randomBits(
  key: Tensor,
  shape: Shape,
  { split = false }: { readonly split?: boolean } = {},
): Tensor {
  if (key.dtype !== "uint32" || key.shape.length !== 1 || key.shape[0] !== 2) {
    throw new TypeError(`Cannot draw random bits with ${describe(key)}: the key must be uint32 [2]`);
  }
  return node("random_bits", [key], { split }, { dtype: "uint32", shape });
}

/**
 * `count` new keys from one, which must not be used again.
 *
 * @example
 * ```ts
 * import { randomBits, randomKey, splitKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [a, b] = splitKey(randomKey(1), 2);
 * const [x, y] = [await randomBits(a!, [1]).data(), await randomBits(b!, [1]).data()]; // ! two keys are made
 * assert.notEqual(x[0], y[0]);
 * ```
 */
export function splitKey(key: Tensor, count: number): readonly Tensor[] {
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new RangeError(`Cannot split a key into ${count}: the count must be a whole number from 1 on`);
  }
  const words = randomBits(key, [count, 2]);
  return Array.from({ length: count }, (_, i) => reshape(slice(words, [i, 0], [i + 1, 2]), [2]));
}

/**
 * Uniform numbers in [0, 1) with 24 random bits each, float32; options as in `randomBits`.
 *
 * @example
 * ```ts
 * import { randomKey, randomUniform } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const values = await randomUniform(randomKey(1), [100]).data();
 * assert.ok(values.every((x) => x >= 0 && x < 1));
 * ```
 */
export function randomUniform(key: Tensor, shape: Shape, options: { readonly split?: boolean } = {}): Tensor {
  return mul(cast(shiftRightLogical(randomBits(key, shape, options), 8), "float32"), 2 ** -24);
}

/**
 * Sets each element to 0 with probability `rate` and scales the others by 1 / (1 - rate). On several devices x is taken
 * as a part of a batch: all parts together are treated as the whole batch would be on one device.
 *
 * @param x Any shape, floating.
 * @param rate Probability in [0, 1); 0 returns x itself.
 * @param key uint32 [2].
 * @returns Same shape.
 * @throws {RangeError} When the rate is outside [0, 1).
 * @example
 * ```ts
 * import { dropout, ones, randomKey } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const kept = await dropout(ones([1000]), 0.5, randomKey(1)).data();
 * assert.deepEqual([...new Set(kept)].sort(), [0, 2]);
 * ```
 */
export function dropout(x: Tensor, rate: number, key: Tensor): Tensor {
  if (!(rate >= 0 && rate < 1)) {
    throw new RangeError(`Cannot drop out: the rate must be in [0, 1), it is ${rate}`);
  }
  if (rate === 0) return x;
  floating(x, "drop out");
  return select(compare(randomUniform(key, x.shape, { split: true }), "ge", rate), mul(x, 1 / (1 - rate)), 0);
}

/** Gradient rules of the operations above. */
export const randomGradients: Pick<GradientRules, "random_bits"> = { random_bits: () => [undefined] };
