/** Loops in the program: scans that are too long to be written out, with their gradients, against the reference. */
import assert from "node:assert/strict";
import { add, compile, grad, layerNorm, matmul, mul, openEngine, reduceSum, scan, tanh } from "albert-guide";
import type { Engine, HostArray, Tensor, TensorType } from "albert-guide";
import { numbers } from "./cases.ts";
import { startXla, xlaHere, xlaNote } from "./xla.ts";

await startXla();

const types = {
  x: { dtype: "float32", shape: [5, 6] },
  w: { dtype: "float32", shape: [6, 6] },
  s: { dtype: "float32", shape: [6] },
} as const satisfies Record<string, TensorType>;

type Options = { readonly length: number; readonly reverse?: boolean; readonly remat?: boolean };

/** Layers that share their weights, one slice of noise each, a stacked output, and all gradients. */
async function run(
  engine: Engine,
  { length, reverse = false, remat = false }: Options,
): Promise<HostArray[]> {
  const program = await compile(
    ({ x, w, s, noise }) => {
      const { carries, stacked } = scan(([h, sum], [n]) => {
        const next = layerNorm(add(h as Tensor, tanh(matmul(h as Tensor, w))), s, n as Tensor, {
          epsilon: 0.1,
        });
        return { carries: [next, add(sum as Tensor, reduceSum(next))], stacked: [mul(next, 0.5), next] };
      }, { carries: [x, reduceSum(x)], sliced: [noise], length, reverse, remat });
      const [last, sum] = carries as [Tensor, Tensor];
      const loss = add(
        reduceSum(mul(last, last)),
        add(mul(sum, 0.01), reduceSum(tanh(stacked[0] as Tensor))),
      );
      const [dx, dw, ds, dn] = grad(loss, [x, w, s, noise]) as [Tensor, Tensor, Tensor, Tensor];
      return { loss, last, all: stacked[1] as Tensor, dx, dw, ds, dn };
    },
    { ...types, noise: { dtype: "float32", shape: [length, 6] } },
    { engine },
  );
  const next = numbers(length);
  const values = (count: number): Float32Array => Float32Array.from({ length: count }, () => next() - 0.5);
  const out = await program.run({ x: values(30), w: values(36), s: values(6), noise: values(6 * length) });
  const data: HostArray[] = [];
  for (const value of Object.values(out)) data.push(await value.data());
  program.dispose();
  return data;
}

const variants: readonly Options[] = [
  { length: 3 },
  { length: 20 },
  { length: 20, reverse: true },
  { length: 20, remat: true },
];

for (const options of variants) {
  const how = JSON.stringify(options);
  Deno.test({
    name: `xla runs a scan and its gradient like the reference: ${how}${xlaNote}`,
    ignore: !xlaHere,
  }, async () => {
    const expected = await run(await openEngine("reference"), options);
    const actual = await run(await openEngine("xla"), options);
    expected.forEach((values, i) => {
      const scale = Math.max(1, ...Array.from(values, Math.abs));
      values.forEach((want, k) =>
        assert.ok(
          Math.abs((actual[i]?.[k] as number) - want) < 2e-5 * scale,
          `[${i}][${k}]: ${actual[i]?.[k]}, not ${want}`,
        )
      );
    });
  });
}
