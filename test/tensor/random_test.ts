/** Randomness: fixed numbers, so that no engine and no version may change them, and statistics. */
import assert from "node:assert/strict";
import {
  dropout,
  hashBits,
  keyWords,
  ones,
  openEngine,
  randomBits,
  randomKey,
  randomUniform,
  reduceSum,
  splitKey,
  useEngine,
} from "albert-guide";
import type { Tensor } from "albert-guide";

async function on<Value>(name: string, body: () => Promise<Value>): Promise<Value> {
  useEngine(await openEngine(name));
  try {
    return await body();
  } finally {
    useEngine(undefined);
  }
}

const vectors: readonly (readonly [seed: number, bits: readonly number[]])[] = [
  [0, [0, 2692512407, 3017091300, 2978596414, 2653574318]],
  [1, [1492470133, 2136536683, 3157731170, 2831072087, 3074328137]],
  [4294967301, [3631679695, 4170346157, 978706248, 4059033401, 2910520186]],
  [9007199254740991, [2094755180, 2111133698, 1369298818, 18343339, 169995465]],
];

for (const name of ["reference", "tfjs-wasm", "tfjs-cpu"]) {
  Deno.test(`randomBits() draws the fixed numbers on ${name}`, async () => {
    for (const [seed, bits] of vectors) {
      const drawn = await on(name, () => randomBits(randomKey(seed), [bits.length]).data());
      assert.deepEqual(Array.from(drawn), bits);
    }
  });
}

Deno.test("randomBits() depends on the index in row-major order, not on the shape", async () => {
  const draw = (shape: number[]) => on("tfjs-wasm", () => randomBits(randomKey(5), shape).data());
  assert.deepEqual(await draw([3, 5]), await draw([15]));
});

Deno.test("hashBits() equals what engines draw", async () => {
  const [k0 = 0, k1 = 0] = keyWords(2 ** 40 + 3);
  const drawn = await on("reference", () => randomBits(randomKey(2 ** 40 + 3), [50]).data());
  assert.deepEqual(Array.from(drawn), Array.from({ length: 50 }, (_, i) => hashBits(k0, k1, i)));
});

Deno.test("splitKey() gives different keys with unrelated draws", async () => {
  const keys = splitKey(randomKey(1), 3);
  const words = await Promise.all(keys.map((key) => key.data()));
  assert.equal(new Set(words.map((pair) => Array.from(pair).join())).size, 3);
  const [a, b] = keys.map((key) => randomUniform(key, [10_000])) as [Tensor, Tensor];
  const [x, y] = [await a.data(), await b.data()];
  const covariance =
    Array.from(x).reduce((sum, value, i) => sum + (value - 0.5) * ((y[i] as number) - 0.5), 0) / 10_000;
  assert.ok(Math.abs(covariance) < 0.005, `covariance ${covariance}`); // 6 standard deviations of 1/12/√n
});

Deno.test("randomUniform() is uniform in [0, 1)", async () => {
  const values = Array.from(await randomUniform(randomKey(9), [100_000]).data());
  assert.ok(values.every((x) => x >= 0 && x < 1));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  assert.ok(Math.abs(mean - 0.5) < 0.005, `mean ${mean}`);
  const bins = new Array<number>(10).fill(0);
  for (const x of values) bins[Math.floor(10 * x)] = (bins[Math.floor(10 * x)] as number) + 1;
  const chi = bins.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  assert.ok(chi < 33, `chi squared of 9 degrees is ${chi}`); // p < 1e-4
});

Deno.test("every bit of randomBits() is set half of the time", async () => {
  const drawn = await randomBits(randomKey(4), [20_000]).data();
  for (let bit = 0; bit < 32; bit++) {
    const share = Array.from(drawn).filter((word) => (word >>> bit) & 1).length / drawn.length;
    assert.ok(Math.abs(share - 0.5) < 0.02, `bit ${bit}: ${share}`);
  }
});

Deno.test("dropout() drops the asked share and keeps the mean", async () => {
  const kept = await dropout(ones([100_000]), 0.1, randomKey(2)).data();
  const dropped = Array.from(kept).filter((x) => x === 0).length / kept.length;
  assert.ok(Math.abs(dropped - 0.1) < 0.005, `dropped ${dropped}`);
  const [sum = 0] = await reduceSum(dropout(ones([100_000]), 0.1, randomKey(2))).data();
  assert.ok(Math.abs(sum / 100_000 - 1) < 0.006, `mean ${sum / 100_000}`);
});

Deno.test("dropout() drops the same elements on every engine", async () => {
  const masks = await Promise.all(
    ["reference", "tfjs-wasm"].map(async (name) =>
      Array.from(
        await (await on(name, () => dropout(ones([1000]), 0.3, randomKey(8)).data())),
        (x) => x === 0,
      )
    ),
  );
  assert.deepEqual(masks[0], masks[1]);
});
