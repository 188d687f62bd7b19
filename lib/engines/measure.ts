/**
 * How fast an engine trains here: one step of a small transformer block (attention, feed-forward layer, cross entropy,
 * gradients, a plain update), timed. Small on purpose: it must end soon on the slowest engine, and the guide's models
 * are of this kind. And the fastest product that it reaches, against which a running step is measured (MFU, model FLOPs
 * utilisation: Chowdhery et al. 2022, arXiv 2204.02311, appendix B).
 */
import {
  add,
  broadcastTo,
  compile,
  constant,
  crossEntropy,
  deviceArray,
  dot,
  gather,
  gelu,
  grad,
  layerNorm,
  matmul,
  mean,
  mul,
  ones,
  reduceMax,
  reshape,
  softmax,
  sub,
  transpose,
  zeros,
} from "../tensor/mod.ts";
import type { DeviceArray, Engine, Tensor } from "../tensor/mod.ts";

const [B, S, H, A, I, V] = [4, 32, 128, 4, 512, 512] as const;

const shapes = {
  table: [V, H],
  query: [H, H],
  key: [H, H],
  value: [H, H],
  output: [H, H],
  inner: [H, I],
  outer: [I, H],
} as const;

type Weights<Value> = { readonly [Name in keyof typeof shapes]: Value };

const names = Object.keys(shapes) as (keyof typeof shapes)[];

function mapNames<To>(map: (name: keyof typeof shapes) => To): Weights<To> {
  return Object.fromEntries(names.map((name) => [name, map(name)])) as unknown as Weights<To>;
}

const normed = (x: Tensor): Tensor => layerNorm(x, ones([H]), zeros([H]));

function lossOf(weights: Weights<Tensor>, ids: Tensor): Tensor {
  const x = normed(gather(weights.table, ids)); // [B × S, H]
  const heads = (y: Tensor): Tensor => transpose(reshape(y, [B, S, A, H / A]), [0, 2, 1, 3]); // [B, A, S, H / A]
  const [q, k, v] = [weights.query, weights.key, weights.value].map((w) => heads(matmul(x, w))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const scores = mul(matmul(q, transpose(k, [0, 1, 3, 2])), 1 / Math.sqrt(H / A)); // [B, A, S, S]
  const mixed = reshape(transpose(matmul(softmax(scores), v), [0, 2, 1, 3]), [B * S, H]);
  const y = normed(add(x, matmul(mixed, weights.output)));
  const z = normed(add(y, matmul(gelu(matmul(y, weights.inner)), weights.outer)));
  return mean(crossEntropy(matmul(z, transpose(weights.table, [1, 0])), ids));
}

function update(weights: Weights<Tensor>, ids: Tensor) {
  const loss = lossOf(weights, ids);
  const slopes = grad(loss, names.map((name) => weights[name]));
  const next = mapNames((name) => {
    const slope = slopes[names.indexOf(name)] as Tensor;
    return sub(weights[name], mul(broadcastTo(constant(0.1), slope.shape), slope));
  });
  return { weights: next, loss };
}

/**
 * Times one training step of a small transformer block on an engine: 128 pieces, 262 thousand weights.
 *
 * @param engine The engine.
 * @param options `seconds`: time to spend on repetitions after the first step, default 0.2; at least one is made.
 * @returns Seconds a step, the least of all repetitions.
 * @throws {Error} When the loss does not fall: such an engine computes wrongly.
 * @example
 * ```ts
 * import { measureStep, openEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seconds = await measureStep(await openEngine("tfjs"), { seconds: 0 });
 * assert.ok(seconds > 0 && seconds < 60);
 * ```
 */
export async function measureStep(
  engine: Engine,
  { seconds = 0.2 }: { readonly seconds?: number } = {},
): Promise<number> {
  const program = await compile(
    ({ weights, ids }) => update(weights, ids),
    {
      weights: mapNames((name) => ({ dtype: "float32" as const, shape: shapes[name] })),
      ids: { dtype: "int32" as const, shape: [B * S] },
    },
    { engine, donate: ["weights"] },
  );
  let weights = await start(engine);
  const ids = Int32Array.from({ length: B * S }, (_, i) => (i * 7919) % V);
  const step = async (): Promise<number> => {
    const result = await program.run({ weights, ids });
    weights = result.weights;
    const [loss] = await result.loss.data();
    result.loss.dispose();
    return loss as number;
  };
  const first = await step(); // also compiles what is compiled late
  let last = first;
  let best = Infinity;
  const began = performance.now();
  for (let round = 0; round < 1 || performance.now() - began < seconds * 1000; round++) {
    const at = performance.now();
    last = await step();
    best = Math.min(best, (performance.now() - at) / 1000);
  }
  for (const name of names) weights[name].dispose();
  program.dispose();
  if (!(last < first)) {
    throw new Error(`Cannot trust ${engine.name}: the loss of its test step went from ${first} to ${last}`);
  }
  return best;
}

async function start(engine: Engine): Promise<Weights<DeviceArray>> {
  const made = await Promise.all(names.map(async (name, k) => {
    const [rows, columns] = shapes[name];
    // No generator is needed: sines of a steep argument are as good as noise here.
    const values = Float32Array.from(
      { length: rows * columns },
      (_, i) => 0.05 * Math.sin((k + 12.9898) * i),
    );
    return [name, await deviceArray(values, { engine, shape: [rows, columns] })] as const;
  }));
  return Object.fromEntries(made) as unknown as Weights<DeviceArray>;
}

/**
 * The fastest matrix product that an engine reaches in this process: n × n by n × n, n doubled until one takes 25 ms.
 *
 * @param engine The engine.
 * @param options `smallest` and `largest` n, default 128 and 4096; `computeDtype` is float32.
 * @returns Floating-point operations per second, best of all products.
 * @example
 * ```ts
 * import { measurePeak, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.ok(await measurePeak(referenceEngine(), { largest: 64 }) > 0);
 * ```
 */
export async function measurePeak(
  engine: Engine,
  { smallest = 128, largest = 4096 }: { readonly smallest?: number; readonly largest?: number } = {},
): Promise<number> {
  let best = 0;
  for (let n = Math.min(smallest, largest); n <= largest; n *= 2) {
    const type = { dtype: "float32", shape: [n, n] } as const;
    // The maximum keeps the download small and, unlike a sum, cannot be drawn into the product.
    const program = await compile(
      ({ a, b }) => ({ most: reduceMax(dot(a, b, { batch: [[], []], contract: [[1], [0]] })) }),
      { a: type, b: type },
      { engine },
    );
    const [a, b] = [1, 2].map((k) => Float32Array.from({ length: n * n }, (_, i) => Math.sin(k * i))) as [
      Float32Array,
      Float32Array,
    ];
    const args = {
      a: await deviceArray(a, { engine, shape: [n, n] }),
      b: await deviceArray(b, { engine, shape: [n, n] }),
    };
    let seconds = Infinity;
    for (let round = 0; round < 4; round++) {
      const began = performance.now();
      const { most } = await program.run(args);
      await most.data();
      most.dispose();
      seconds = Math.min(seconds, (performance.now() - began) / 1000);
    }
    args.a.dispose();
    args.b.dispose();
    program.dispose();
    best = Math.max(best, 2 * n ** 3 / seconds);
    if (seconds > 0.025) break;
  }
  return best;
}
