/** Several devices in one process: sums over them, split arguments, and a training that they share. */
import assert from "node:assert/strict";
import {
  add,
  allReduce,
  compile,
  constant,
  deviceArray,
  dropout,
  grad,
  mul,
  ones,
  pretrain,
  randomKey,
  reduceSum,
  scan,
  sub,
  tanh,
  xlaEngine,
} from "albert-guide";
import type { Tensor, TensorType } from "albert-guide";
import { xlaEngineOn } from "../../lib/engines/xla/engine.ts";
import { findPlugin } from "../../lib/engines/xla/plugin.ts";
import { numbers } from "./cases.ts";
import { config, examples, runOf } from "./small_run.ts";
import { xlaHere, xlaNote } from "./xla.ts";

const ignore = !xlaHere;
const plugin = findPlugin() ?? "";
const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
const values = (seed: number, count: number): Float32Array => {
  const next = numbers(seed);
  return Float32Array.from({ length: count }, () => 2 * next() - 1);
};

Deno.test(
  { name: `allReduce() sums over the devices, and so does its gradient${xlaNote}`, ignore },
  async () => {
    for (const devices of [1, 2, 3]) {
      const engine = xlaEngineOn({ plugin, devices });
      const program = await compile(
        ({ x, w }) => {
          const total = allReduce(reduceSum(mul(mul(x, x), w)));
          const [dx, dw] = grad(total, [x, w]);
          return { total, mean: mul(allReduce(dw!), 1 / devices), dx: dx! }; // ! two are asked for
        },
        { x: float(6, 2), w: float(2) },
        { engine, split: ["x"] },
      );
      const x = values(1, 12);
      const w = Float32Array.of(0.5, -2);
      const out = await program.run({ x, w });
      const column = (k: number): number =>
        x.reduce((sum, each, i) => i % 2 === k ? sum + each * each : sum, 0);
      const close = (got: ArrayLike<number>, want: readonly number[]): void =>
        want.forEach((each, i) =>
          assert.ok(Math.abs((got[i] as number) - each) < 1e-5, `${got[i]}, not ${each}`)
        );
      close(await out.total.data(), [0.5 * column(0) - 2 * column(1)]);
      close(await out.mean.data(), [column(0), column(1)]);
      // Each device's copy of the sum counts: the gradient of the first row is theirs together.
      close(await out.dx.data(), [devices * 2 * 0.5 * (x[0] as number), devices * 2 * -2 * (x[1] as number)]);
      await engine.dispose();
    }
  },
);

Deno.test(
  {
    name: `allReduce() in the body of a scan gives what one device gives, with its gradient${xlaNote}`,
    ignore,
  },
  async () => {
    const [x, w, rates] = [values(2, 24), values(3, 3), values(4, 13)];
    for (const length of [3, 13]) { // The first is written out, the second is a loop.
      const results: (readonly number[])[] = [];
      for (const devices of [1, 2]) {
        const engine = xlaEngineOn({ plugin, devices });
        const program = await compile(
          ({ x, w, rates }) => {
            const { carries, stacked } = scan(([c], [rate]) => {
              const sum = allReduce(reduceSum(tanh(mul(mul(x, w), c as Tensor))));
              const next = add(mul(c as Tensor, 0.5), mul(rate as Tensor, mul(sum, 0.1)));
              return { carries: [next], stacked: [sum] };
            }, { carries: [constant(1)], sliced: [rates], length });
            const [last, sums] = [carries[0] as Tensor, stacked[0] as Tensor];
            const [dw] = grad(add(last, reduceSum(mul(sums, sums))), [w]);
            return { last, sums, dw: mul(allReduce(dw as Tensor), 1 / devices) };
          },
          { x: float(8, 3), w: float(3), rates: float(length) },
          { engine, split: ["x"] },
        );
        const { last, sums, dw } = await program.run({ x, w, rates: rates.slice(0, length) });
        results.push([...await last.data(), ...await sums.data(), ...await dw.data()]);
        await engine.dispose();
      }
      const [one, two] = results as [number[], number[]];
      assert.equal(two.length, 1 + length + 3);
      assert.ok(one.some((each) => Math.abs(each) > 0.1));
      two.forEach((each, i) => {
        const want = one[i] as number;
        assert.ok(Math.abs(each - want) <= 1e-5 * Math.max(1, Math.abs(want)), `${i}: ${each}, not ${want}`);
      });
    }
  },
);

Deno.test(
  { name: `xla splits an argument over its devices and keeps the others whole${xlaNote}`, ignore },
  async () => {
    const engine = xlaEngineOn({ plugin, devices: 2 });
    assert.equal(engine.devices().length, 2);
    const whole = Float32Array.of(1, 2, 3, 4);
    const part = await deviceArray(whole, { engine, shape: [4], split: true });
    assert.deepEqual(part.shape, [4]);
    assert.deepEqual(Array.from(await part.data()), [1, 2, 3, 4]);
    const program = await compile(
      ({ x, y }) => ({ sum: allReduce(reduceSum(mul(x, y))), first: x }),
      { x: float(4), y: float(2) },
      { engine, split: ["x"] },
    );
    const y = await deviceArray(Float32Array.of(1, 10), { engine });
    const { sum, first } = await program.run({ x: part, y });
    assert.deepEqual(Array.from(await sum.data()), [1 + 20 + 3 + 40]);
    assert.deepEqual(Array.from(await first.data()), [1, 2]);
    const notSplit = await deviceArray(whole, { engine });
    await assert.rejects(program.run({ x: notSplit, y }), /argument 0 must be split over the devices/);
    const half = await deviceArray(Float32Array.of(1, 2), { engine, split: true });
    await assert.rejects(program.run({ x: whole, y: half }), /argument 1 must be whole on every device/);
    await assert.rejects(
      deviceArray(Float32Array.of(1, 2, 3), { engine, split: true }),
      /Cannot split float32 \[3\] over 2 devices: its first size must be a multiple/,
    );
    await assert.rejects(
      compile(({ x }) => ({ x }), { x: float(3, 2) }, { engine, split: ["x"] }),
      /Cannot split x over 2 devices: its first size is 3/,
    );
    // Sums over devices that are of no use to a single one must not wait for it.
    const { buffers } = await engine.status();
    [part, y, sum, first, notSplit, half].forEach((each) => each.dispose());
    assert.equal((await engine.status()).buffers, buffers - 6);
    await engine.dispose();
  },
);

Deno.test({ name: `xlaEngine() refuses a number of devices that cannot be${xlaNote}`, ignore }, async () => {
  for (const devices of [0, -1, 1.5, NaN, 65]) {
    await assert.rejects(xlaEngine({ devices }), /devices must be a whole number from 1 to 64/);
  }
});

Deno.test({ name: `dropout() of a split batch is that of the whole batch${xlaNote}`, ignore }, async () => {
  const results: number[][] = [];
  for (const devices of [1, 2]) {
    const engine = xlaEngineOn({ plugin, devices });
    const program = await compile(
      ({ x }) => ({ sums: allReduce(reduceSum(mul(dropout(ones([8 / devices, 5]), 0.5, randomKey(3)), x))) }),
      { x: float(8, 5) },
      { engine, split: ["x"] },
    );
    const out = await program.run({ x: Float32Array.from({ length: 40 }, (_, i) => 2 ** (i % 20)) });
    results.push(Array.from(await out.sums.data()));
    await engine.dispose();
  }
  assert.deepEqual(results[1], results[0]);
});

for (const accumulation of [1, 2]) {
  Deno.test({
    name:
      `pretrain() on two devices gives losses and weights of one, ${accumulation} batches a step${xlaNote}`,
    ignore,
  }, async () => {
    const run = runOf({ gradient_accumulation_steps: accumulation, num_train_steps: 8, num_warmup_steps: 2 });
    const train = async (devices: number) => {
      const engine = xlaEngineOn({ plugin, devices });
      const { log, parameters } = await pretrain({ config, run, examples }, { engine });
      await engine.dispose();
      return { losses: log.map(({ loss }) => loss), parameters };
    };
    const [one, two] = [await train(1), await train(2)];
    assert.equal(one.losses.length, 8);
    assert.ok((one.losses[7] as number) < (one.losses[0] as number));
    // Sums in another order: the last bits of float32, and what LAMB's root makes of them where moments are near 0.
    one.losses.forEach((loss, i) =>
      assert.ok(Math.abs(loss - (two.losses[i] as number)) < 1e-4, `step ${i + 1}: ${loss}, ${two.losses[i]}`)
    );
    for (const [name, weights] of Object.entries(one.parameters)) {
      const other = two.parameters[name] as Float32Array;
      const worst = weights.reduce((max, w, i) => Math.max(max, Math.abs(w - (other[i] as number))), 0);
      assert.ok(worst < 2e-4, `${name} differs by ${worst}`);
    }
  });
}

Deno.test({ name: `every device holds the same bits after shared steps${xlaNote}`, ignore }, async () => {
  const engine = xlaEngineOn({ plugin, devices: 2 });
  const program = await compile(
    ({ w, x }) => {
      const [g] = grad(reduceSum(mul(mul(x, w), mul(x, w))), [w]);
      return { w: sub(w, mul(add(allReduce(g!), 0), 0.01)) }; // ! one is asked for
    },
    { w: float(33), x: float(8, 33) },
    { engine, donate: ["w"], split: ["x"] },
  );
  let w = await deviceArray(values(1, 33), { engine });
  for (let i = 0; i < 20; i++) ({ w } = await program.run({ w, x: values(2 + i, 8 * 33) }));
  const buffer = w.take({ donate: false, engine });
  assert.deepEqual(await engine.downloadFrom(buffer, 1), await engine.downloadFrom(buffer, 0));
  await assert.rejects(engine.downloadFrom(buffer, 2), /there is no device 2/);
  await engine.dispose();
});
