import assert from "node:assert/strict";
import { ngramCdf, numpyRandom, type PythonRandom, pythonRandom, roundHalfEven } from "../lib/random.ts";
import { goldenAlbert } from "./golden_albert.ts";

type PythonCase = Record<string, number[]> & {
  seed: string;
  getrandbits_mixed: { k: number[]; values: string[] };
  random_after_1000: number;
};
type Golden = {
  python: PythonCase[];
  numpy: Record<string, number[]>[];
  ngram_cdf: Record<string, number[]>;
  python3_round: [number, number, number][];
};
const golden = goldenAlbert<Golden>("rng");

/** `count` draws on a fresh generator, and the random() that follows. */
function draws(seed: string, count: number, draw: (random: PythonRandom) => number): [number[], number] {
  const random = pythonRandom(BigInt(seed));
  return [Array.from({ length: count }, () => draw(random)), random.random()];
}

Deno.test("pythonRandom() repeats every golden stream of Python", () => {
  assert(golden.python.length >= 9);
  for (const vector of golden.python) {
    const { seed } = vector;
    const list = (key: string): number[] => vector[key] ?? assert.fail(key);
    assert.deepEqual(draws(seed, 5, (r) => r.random())[0], list("random"));
    assert.deepEqual(draws(seed, 5, (r) => r.getrandbits(32))[0], list("getrandbits32"));
    const mixed = pythonRandom(BigInt(seed));
    const bits = vector.getrandbits_mixed.k.map((k) => String(mixed.getrandbigint(k)));
    assert.deepEqual(bits, vector.getrandbits_mixed.values);
    for (const key of Object.keys(vector)) {
      const range = /^randint_(\d+)_(\d+)$/.exec(key);
      if (range) {
        const [low, high] = [Number(range[1]), Number(range[2])];
        const [values, next] = draws(seed, list(key).length, (r) => r.randint(low, high));
        assert.deepEqual([values, next], [list(key), vector[`${key}_then_random`]], `${seed} ${key}`);
      }
      const length = /^shuffle_range_(\d+)$/.exec(key);
      if (length) {
        const random = pythonRandom(BigInt(seed));
        const values = Array.from({ length: Number(length[1]) }, (_, i) => i);
        random.shuffle(values);
        assert.deepEqual(
          [values, random.random()],
          [list(key), vector[`${key}_then_random`]],
          `${seed} ${key}`,
        );
      }
    }
    assert.equal(draws(seed, 1000, (r) => r.random())[1], vector.random_after_1000);
  }
});

Deno.test("pythonRandom() draws below 2^32 and above as Python does", () => {
  const [a, b] = [pythonRandom(7), pythonRandom(7)];
  let expected = b.getrandbigint(33);
  while (expected >= 2 ** 32) expected = b.getrandbigint(33);
  assert.equal(a.below(2 ** 32), Number(expected));
  assert.equal(a.u32(), b.u32());
});

Deno.test("numpyRandom() repeats every golden stream of NumPy", () => {
  assert(golden.numpy.length >= 5);
  for (const vector of golden.numpy) {
    const seed = Number(vector["seed"]);
    const random = numpyRandom(seed);
    assert.deepEqual(random.save().words.slice(0, 4), vector["state_first4"]);
    assert.deepEqual(Array.from({ length: 5 }, () => random.uniform()), vector["random_sample"]);
    for (const [key, expected] of Object.entries(vector)) {
      const match = /^choice_ngram(\d+)_(shorter|longer)$/.exec(key);
      if (!match) continue;
      const cdf = ngramCdf(Number(match[1]), match[2] === "shorter");
      const chooser = numpyRandom(seed);
      assert.deepEqual(expected.map(() => 1 + chooser.choice(cdf)), expected, key);
    }
  }
});

Deno.test("ngramCdf() agrees with NumPy to the last bit", () => {
  const entries = Object.entries(golden.ngram_cdf);
  assert(entries.length >= 40);
  for (const [key, expected] of entries) {
    const [n, order] = key.split("_");
    assert.deepEqual([...ngramCdf(Number(n), order === "shorter")], expected, key);
  }
});

Deno.test("roundHalfEven() agrees with Python's round when a budget is computed", () => {
  for (const [length, share, expected] of golden.python3_round) {
    assert.equal(roundHalfEven(length * share), expected, `${length} x ${share}`);
  }
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5].map((x) => roundHalfEven(x) + 0), [0, 2, 2, 0, -2]);
});

Deno.test("save() and restore() continue the stream, through JSON, from any position", () => {
  for (const skip of [0, 1, 623, 624, 625, 2000]) {
    const random = pythonRandom(3);
    for (let i = 0; i < skip; i++) random.u32();
    const state = JSON.parse(JSON.stringify(random.save()));
    const rest = Array.from({ length: 700 }, () => random.u32());
    const other = pythonRandom(99);
    other.restore(state);
    assert.deepEqual(Array.from({ length: 700 }, () => other.u32()), rest);
  }
  assert.throws(() => pythonRandom(1).restore({ words: [1], index: 0 }), RangeError);
});

Deno.test("generators refuse what is no seed", () => {
  assert.throws(() => pythonRandom(0.5), /whole number/);
  assert.throws(() => numpyRandom(-1), /0 to 4294967295/);
  assert.throws(() => pythonRandom(1).below(0), RangeError);
  assert.throws(() => pythonRandom(1).getrandbits(33), RangeError);
});
