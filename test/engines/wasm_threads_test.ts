/** Our WebAssembly kernels shared by threads: the bits of one thread, whatever their number, and threads that come and go. */
import assert from "node:assert/strict";
import { albertPreset, parsePretrainingConfig, pretrain } from "albert-guide";
import {
  compile,
  exp,
  gather,
  grad,
  matmul,
  maximum,
  mean,
  mul,
  reduceMax,
  reduceSum,
  transpose,
} from "albert-guide";
import type { Engine, Tensor, TensorType, TrainingExample } from "albert-guide";
import { tfjsEngine } from "../../lib/engines/mod.ts";

const wasm = (threads: number): Promise<Engine> => tfjsEngine({ backend: "wasm", threads });
const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
const values = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 1.7) / 2);
const bits = (list: ArrayLike<number>): readonly number[] =>
  Array.from(new Int32Array(Float32Array.from(list).buffer));

const S = 48;
const P = 6;
const examples: readonly TrainingExample[] = Array.from({ length: 48 }, (_, n) => ({
  input_ids: Int32Array.from({ length: S }, (_, i) => 5 + (n * 31 + i * 7) % 90),
  input_mask: new Int32Array(S).fill(1),
  segment_ids: Int32Array.from({ length: S }, (_, i) => i < S / 2 ? 0 : 1),
  masked_lm_positions: Int32Array.from({ length: P }, (_, i) => 1 + 7 * i),
  masked_lm_ids: Int32Array.from({ length: P }, (_, i) => 5 + (n + i) % 90),
  masked_lm_weights: new Float32Array(P).fill(1),
  next_sentence_labels: Int32Array.of(n % 2),
}));

/** The weights after some steps with dropout, at sizes that threads do not divide evenly. */
async function train(engine: Engine, hidden: number): Promise<readonly number[]> {
  const config = albertPreset("tiny", {
    vocab_size: 101,
    hidden_size: hidden,
    num_attention_heads: 3,
    intermediate_size: 4 * hidden + 2,
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
  });
  const run = parsePretrainingConfig({
    max_seq_length: S,
    max_predictions_per_seq: P,
    train_batch_size: 12,
    num_train_steps: 4,
    num_warmup_steps: 1,
    learning_rate: 0.003,
  });
  const { parameters } = await pretrain({ config, run, examples }, { engine });
  return Object.values(parameters).flatMap((each) => bits(each));
}

for (const hidden of [66, 96]) {
  Deno.test(`threads of tfjs-wasm train a model of width ${hidden} to the bits of one`, async () => {
    const alone = await train(await wasm(1), hidden);
    for (const threads of [2, 3, 5]) {
      const engine = await wasm(threads);
      assert.deepEqual(await train(engine, hidden), alone);
      await engine.dispose();
    }
  });
}

/** Products of every step and sums along every dimension, of shapes that share badly. */
async function compute(engine: Engine): Promise<readonly number[]> {
  const types = {
    a: float(402, 131),
    b: float(131, 509),
    c: float(7, 90, 31),
    rows: { dtype: "int32", shape: [301] },
  };
  const program = await compile(
    ({ a, b, c, rows }) => {
      const y = matmul(a as Tensor, b as Tensor);
      const turned = matmul(transpose(b as Tensor), transpose(a as Tensor));
      const scores = exp(matmul(c as Tensor, transpose(c as Tensor, [0, 2, 1])));
      const picked = gather(y, rows as Tensor);
      const loss = mean(mul(maximum(picked, 0), picked));
      const [ga, gb] = grad(loss, [a as Tensor, b as Tensor]) as [Tensor, Tensor];
      return {
        turned,
        ga,
        gb,
        rowSums: reduceSum(y, [1]),
        columnSums: reduceSum(y, [0]),
        largest: reduceMax(scores, [0, 2]),
        all: reduceSum(scores),
        middle: reduceSum(scores, [1]),
      };
    },
    types as Record<"a" | "b" | "c" | "rows", TensorType>,
    { engine },
  );
  const results = await program.run({
    a: values(402 * 131, 1),
    b: values(131 * 509, 2),
    c: values(7 * 90 * 31, 3),
    rows: Int32Array.from({ length: 301 }, (_, i) => (i * 37) % 402),
  });
  const found: number[] = [];
  for (const value of Object.values(results)) {
    for (const bit of bits(await value.data() as Float32Array)) found.push(bit);
  }
  program.dispose();
  return found;
}

Deno.test("threads of tfjs-wasm compute products, sums and rows of awkward shapes to the bits of one", async () => {
  const alone = await compute(await wasm(1));
  for (const threads of [2, 4, 7]) {
    const engine = await wasm(threads);
    assert.deepEqual(await compute(engine), alone);
    await engine.dispose();
    assert.deepEqual(await compute(engine), alone); // new threads, with what the old ones had
    await engine.dispose();
  }
});

Deno.test("threads of tfjs-wasm take programs that are compiled, run and given up at the same time", async () => {
  const engine = await wasm(3);
  const size = 330;
  const one = async (scale: number): Promise<readonly number[]> => {
    const program = await compile(
      ({ x }) => ({ y: mul(matmul(x as Tensor, x as Tensor), scale) }),
      { x: float(size, size) },
      { engine },
    );
    const x = values(size * size, 1);
    const runs = await Promise.all([1, 2, 3].map(() => program.run({ x })));
    const [first, ...others] = await Promise.all(
      runs.map(async ({ y }) => bits(await y.data() as Float32Array)),
    );
    for (const other of others) assert.deepEqual(other, first);
    program.dispose();
    return first as readonly number[];
  };
  const together = await Promise.all([1, 2, 3, 4, 5].map(one));
  for (const [i, found] of together.entries()) assert.deepEqual(await one(i + 1), found);
  await engine.dispose();
});

Deno.test("tfjsEngine() refuses numbers of threads that are none", async () => {
  for (const threads of [0, 1.5, 65, NaN]) {
    await assert.rejects(wasm(threads), /threads must be a whole number from 1 to 64/);
  }
});
