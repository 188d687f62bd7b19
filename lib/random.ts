/**
 * The two random generators of data creation, bit for bit as Python and NumPy draw: one Mersenne Twister core, two
 * ways to seed it and two sets of draws. All decisions of the reference use Python's `random.Random(random_seed)`,
 * only the n-gram length uses NumPy's legacy global generator. Randomness of the model side is not here.
 * Facts: Matsumoto and Nishimura 1998 (MT19937); CPython's `random`; NumPy's frozen legacy stream.
 */

const WORDS = 624;

/**
 * A generator's position as plain JSON, to be stored and given back to `restore`.
 *
 * @example
 * ```ts
 * import { pythonRandom } from "albert-guide";
 * import type { RandomState } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const state: RandomState = pythonRandom(1).save();
 * assert.equal(state.words.length, 624);
 * ```
 */
export type RandomState = {
  /** The 624 unsigned 32-bit words of the twister. */
  readonly words: readonly number[];
  /** Index of the next word to hand out, 0 to 624. */
  readonly index: number;
};

/**
 * What both generators can do: words, and saving and restoring.
 *
 * @example
 * ```ts
 * import { pythonRandom } from "albert-guide";
 * import type { RandomCore } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const core: RandomCore = pythonRandom(12345);
 * assert.equal(core.u32(), 1789368711);
 * ```
 */
export type RandomCore = {
  /** Next word, uniform in 0 to 2^32 - 1. */
  readonly u32: () => number;
  /** The present position, as JSON. */
  readonly save: () => RandomState;
  /** Continues from a saved position; throws RangeError when it is no such position. */
  readonly restore: (state: RandomState) => void;
};

/**
 * Python 3's `random.Random`, as far as data creation uses it.
 *
 * @example
 * ```ts
 * import { pythonRandom } from "albert-guide";
 * import type { PythonRandom } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const random: PythonRandom = pythonRandom(12345);
 * assert.equal(random.randint(0, 9), 6);
 * ```
 */
export type PythonRandom = RandomCore & {
  /** Uniform in [0, 1) with 53 bits; takes two words. */
  readonly random: () => number;
  /** `k` random bits, k from 1 to 32 as a number. */
  readonly getrandbits: (k: number) => number;
  /** `k` random bits for any k from 1, as a bigint. */
  readonly getrandbigint: (k: number) => bigint;
  /** Uniform in 0 to n - 1; takes a variable number of words, also for n = 1. */
  readonly below: (n: number) => number;
  /** Uniform in a to b, both included. */
  readonly randint: (a: number, b: number) => number;
  /** Shuffles in place; lengths 0 and 1 draw nothing. */
  readonly shuffle: <T>(array: T[] | Int32Array | Uint32Array) => void;
};

/**
 * NumPy's legacy generator (`numpy.random.seed`), as far as data creation uses it.
 *
 * @example
 * ```ts
 * import { numpyRandom } from "albert-guide";
 * import type { NumpyRandom } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const random: NumpyRandom = numpyRandom(12345);
 * assert.equal(random.uniform(), 0.9296160928171479);
 * ```
 */
export type NumpyRandom = RandomCore & {
  /** Uniform in [0, 1) with 53 bits; takes two words. */
  readonly uniform: () => number;
  /** Index of the first cdf entry above one uniform draw, as `numpy.random.choice(p=...)` finds it. */
  readonly choice: (cdf: readonly number[] | Float64Array) => number;
};

/**
 * Python's generator for an integer seed: the same stream as `random.Random(seed)` of Python 3.6 to 3.13.
 *
 * @param seed Any whole number; the sign is ignored, as in Python. Beyond 2^53 pass a bigint.
 * @returns The generator at its start.
 * @throws {RangeError} When the seed is not a whole number.
 * @example
 * ```ts
 * import { pythonRandom } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const random = pythonRandom(12345);
 * assert.equal(random.random(), 0.41661987254534116);
 * const list = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
 * pythonRandom(12345).shuffle(list);
 * assert.deepEqual(list, [8, 7, 3, 5, 1, 2, 9, 4, 0, 6]);
 * ```
 */
export function pythonRandom(seed: number | bigint): PythonRandom {
  const core = twister(seedByArray(keyOf(seed)));
  return pythonDraws(core);
}

/**
 * A generator that starts anew at any seed without making another one: for draws that are keyed by place.
 *
 * @returns Python's draws, and `reseed`, behind which they are those of `pythonRandom(seed)`.
 * @example
 * ```ts
 * import { keyedRandom, pythonRandom } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const random = keyedRandom();
 * random.reseed(12345);
 * assert.equal(random.random(), pythonRandom(12345).random());
 * ```
 */
export function keyedRandom(): PythonRandom & { readonly reseed: (seed: number | bigint) => void } {
  const core = twister(seedByArray([0]));
  return { ...pythonDraws(core), reseed: (seed) => core.begin((words) => seedByArray(keyOf(seed), words)) };
}

/** The absolute value of a seed in words of 32 bits, the lowest first. */
function keyOf(seed: number | bigint): number[] {
  let rest = wholeSeed(seed);
  if (rest < 0n) rest = -rest;
  const key: number[] = [];
  do {
    key.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return key;
}

function pythonDraws({ u32, random, below32, shuffle, save, restore }: Twister): PythonRandom {
  const below = (n: number): number => {
    if (!Number.isSafeInteger(n) || n < 1) {
      throw new RangeError(`Cannot draw below ${n}: expected a whole number from 1 to 2^53 - 1`);
    }
    return n >= 2 ** 32 ? belowBig(n) : below32(n);
  };
  const getrandbigint = (k: number): bigint => {
    let value = 0n;
    for (let bit = 0; bit < k; bit += 32) {
      const word = u32() >>> Math.max(0, 32 - (k - bit));
      value |= BigInt(word) << BigInt(bit);
    }
    return value;
  };
  const belowBig = (n: number): number => {
    const bits = n.toString(2).length;
    for (;;) {
      const drawn = getrandbigint(bits);
      if (drawn < n) return Number(drawn);
    }
  };
  return {
    u32,
    save,
    restore,
    random,
    getrandbits: (k) => {
      if (!Number.isInteger(k) || k < 1 || k > 32) {
        throw new RangeError(
          `Cannot draw ${k} bits as a number: expected 1 to 32 (getrandbigint takes more)`,
        );
      }
      return u32() >>> (32 - k);
    },
    getrandbigint,
    below,
    randint: (a, b) => a + below(b - a + 1),
    shuffle: (array) => {
      if (array instanceof Int32Array) return shuffle(array);
      for (let i = array.length - 1; i > 0; i--) {
        const j = below32(i + 1);
        const kept = array[i];
        (array as unknown[])[i] = array[j];
        (array as unknown[])[j] = kept;
      }
    },
  };
}

/**
 * NumPy's legacy generator for an integer seed: the same stream as after `numpy.random.seed(seed)`.
 *
 * @param seed A whole number from 0 to 2^32 - 1.
 * @returns The generator at its start.
 * @throws {RangeError} When the seed is out of range.
 * @example
 * ```ts
 * import { ngramCdf, numpyRandom } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const random = numpyRandom(12345);
 * const cdf = ngramCdf(3, true);
 * assert.deepEqual([1, 2, 3, 4, 5].map(() => 1 + random.choice(cdf)), [3, 1, 1, 1, 2]);
 * ```
 */
export function numpyRandom(seed: number | bigint): NumpyRandom {
  const whole = wholeSeed(seed);
  if (whole < 0n || whole > 0xffffffffn) {
    throw new RangeError(`Cannot seed NumPy's generator with ${seed}: expected 0 to 4294967295`);
  }
  const { u32, random: uniform, save, restore } = twister(seedByNumber(Number(whole)));
  return {
    u32,
    save,
    restore,
    uniform,
    choice: (cdf) => {
      const drawn = uniform();
      let index = 0;
      while (index < cdf.length - 1 && (cdf[index] ?? 1) <= drawn) index++;
      return index;
    },
  };
}

/**
 * Cumulative probabilities of the n-gram lengths 1 to n: length k has a weight of 1/k (or the reverse).
 * Source: the ALBERT paper, section 4.1; evaluated in the order in which NumPy evaluates it, so the last bit agrees.
 *
 * @param n Longest n-gram, in words, from 1.
 * @param favorShorter True when short n-grams are the likely ones, false for the reverse.
 * @returns n ascending values, the last one 1.
 * @throws {RangeError} When n is not a whole number from 1.
 * @example
 * ```ts
 * import { ngramCdf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...ngramCdf(3, true)], [0.5454545454545455, 0.8181818181818182, 1]);
 * ```
 */
export function ngramCdf(n: number, favorShorter: boolean): Float64Array {
  if (!Number.isInteger(n) || n < 1) {
    throw new RangeError(`Cannot weigh n-grams up to ${n} words: expected a whole number from 1`);
  }
  const weights = Float64Array.from({ length: n }, (_, k) => 1 / (k + 1));
  const first = pairwiseSum(weights, 0, n);
  const scaled = weights.map((weight) => weight / first);
  if (!favorShorter) scaled.reverse();
  const second = pairwiseSum(scaled, 0, n);
  let running = 0;
  const cdf = scaled.map((weight) => running += weight / second);
  return cdf.map((value) => value / running);
}

/**
 * Rounds to the nearest whole number, ties to the even one, as Python 3's `round` does.
 *
 * @param x A finite number.
 * @returns The rounded number.
 * @example
 * ```ts
 * import { roundHalfEven } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([30 * 0.15, 50 * 0.15, 2.6].map(roundHalfEven), [4, 8, 3]);
 * ```
 */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** NumPy's pairwise summation of values[from .. from + count - 1]. */
function pairwiseSum(values: Float64Array, from: number, count: number): number {
  const at = (i: number): number => values[from + i] ?? 0;
  if (count < 8) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += at(i);
    return sum;
  }
  if (count > 128) {
    const half = Math.floor(count / 2) - Math.floor(count / 2) % 8;
    return pairwiseSum(values, from, half) + pairwiseSum(values, from + half, count - half);
  }
  const r = Float64Array.from({ length: 8 }, (_, i) => at(i));
  const whole = count - count % 8;
  for (let i = 8; i < whole; i++) r[i % 8] = (r[i % 8] ?? 0) + at(i);
  const [r0 = 0, r1 = 0, r2 = 0, r3 = 0, r4 = 0, r5 = 0, r6 = 0, r7 = 0] = r;
  let sum = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7));
  for (let i = whole; i < count; i++) sum += at(i);
  return sum;
}

function wholeSeed(seed: number | bigint): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new RangeError(
      `Cannot seed a generator with ${seed}: expected a whole number (a bigint beyond 2^53)`,
    );
  }
  return BigInt(seed);
}

/** init_genrand of the reference implementation. */
function seedByNumber(seed: number): Uint32Array {
  const mt = new Uint32Array(WORDS);
  mt[0] = seed;
  let last = seed >>> 0;
  for (let i = 1; i < WORDS; i++) {
    last = (Math.imul(1812433253, last ^ (last >>> 30)) + i) >>> 0;
    mt[i] = last;
  }
  return mt;
}

let arrayStart: Uint32Array | undefined;

/** init_by_array of the reference implementation. */
function seedByArray(key: readonly number[], mt: Uint32Array = new Uint32Array(WORDS)): Uint32Array {
  mt.set(arrayStart ??= seedByNumber(19650218));
  let i = 1;
  let j = 0;
  let last = mt[0]! | 0; // in range
  for (let round = Math.max(WORDS, key.length); round > 0; round--) {
    last = (mt[i]! ^ Math.imul(last ^ (last >>> 30), 1664525)) + (key[j] ?? 0) + j | 0; // i is 1 to 623
    mt[i] = last;
    if (++i === WORDS) mt[0] = last, i = 1;
    if (++j >= key.length) j = 0;
  }
  for (let round = WORDS - 1; round > 0; round--) {
    last = (mt[i]! ^ Math.imul(last ^ (last >>> 30), 1566083941)) - i | 0; // i is 1 to 623
    mt[i] = last;
    if (++i === WORDS) mt[0] = last, i = 1;
  }
  mt[0] = 0x80000000;
  return mt;
}

/** The twister with the draws that have to be fast. */
type Twister = RandomCore & {
  readonly random: () => number;
  /** Uniform in 0 to n - 1, n from 1 to 2^32 - 1. */
  readonly below32: (n: number) => number;
  readonly shuffle: (array: Int32Array) => void;
  /** Starts anew at the words that `fill` writes. */
  readonly begin: (fill: (words: Uint32Array) => void) => void;
};

function tempered(word: number): number {
  let y = word ^ (word >>> 11);
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >>> 18);
}

const STEP = 208; // words made at a time, a third of all: a generator that is asked for little makes little

function twister(mt: Uint32Array): Twister {
  const out = new Int32Array(WORDS); // tempered words
  let index = WORDS;
  let made = WORDS; // words of the present round that are made
  const refill = (): void => {
    if (made === WORDS) made = index = 0;
    const end = made + STEP;
    for (let i = made; i < end; i++) {
      const next = i + 1 < WORDS ? i + 1 : 0;
      const far = i + 397 < WORDS ? i + 397 : i + 397 - WORDS;
      const both = (mt[i]! & 0x80000000) | (mt[next]! & 0x7fffffff); // in range: 0 to 623
      const y = mt[far]! ^ (both >>> 1) ^ (-(both & 1) & 0x9908b0df); // in range: 0 to 623
      mt[i] = y;
      out[i] = tempered(y);
    }
    made = end;
  };
  const u32 = (): number => {
    if (index === made) refill();
    return out[index++]! >>> 0; // in range: below made
  };
  const below32 = (n: number): number => {
    const shift = Math.clz32(n); // 32 - bit length of n
    for (;;) {
      if (index === made) refill();
      const drawn = out[index++]! >>> shift; // in range: below made
      if (drawn < n) return drawn;
    }
  };
  return {
    u32,
    random: () => {
      const a = u32() >>> 5;
      return (a * 67108864 + (u32() >>> 6)) / 9007199254740992;
    },
    below32,
    shuffle: (array) => {
      for (let i = array.length - 1; i > 0; i--) {
        const j = below32(i + 1);
        const kept = array[i]!; // in range
        array[i] = array[j]!; // in range: j <= i
        array[j] = kept;
      }
    },
    begin: (fill) => {
      fill(mt);
      index = made = WORDS;
    },
    save: () => {
      const at = index;
      while (made < WORDS) refill();
      return { words: [...mt], index: at };
    },
    restore: (state) => {
      const whole = (x: number, most: number): boolean => Number.isInteger(x) && x >= 0 && x <= most;
      const { words } = state;
      if (
        words?.length !== WORDS || !whole(state.index, WORDS) || !words.every((x) => whole(x, 0xffffffff))
      ) {
        throw new RangeError(
          "Cannot restore a generator: expected 624 words of 32 bits and an index from 0 to 624",
        );
      }
      mt.set(words);
      index = state.index;
      made = WORDS;
      for (let i = 0; i < WORDS; i++) out[i] = tempered(mt[i]!); // in range
    },
  };
}
