/**
 * What tfjs-wasm makes of a graph: how many kernels and how much memory traffic. These counts are what its speed comes
 * from; times would depend on the machine.
 */
import assert from "node:assert/strict";
import {
  add,
  constant,
  dot,
  exp,
  gelu,
  grad,
  layerNorm,
  mul,
  openEngine,
  reduceSum,
  reshape,
  softmax,
  tanh,
  trace,
  transpose,
  useEngine,
} from "albert-guide";
import type { Shape, Tensor } from "albert-guide";
import { lower } from "../../lib/engines/tfjs/wasm/lower.ts";
import type { Call } from "../../lib/engines/tfjs/wasm/lower.ts";

function callsOf(fn: (...x: Tensor[]) => readonly Tensor[], ...shapes: Shape[]): readonly Call[] {
  const graph = trace(fn, shapes.map((shape) => ({ dtype: "float32", shape })));
  return lower(graph).calls;
}

const traffic = (calls: readonly Call[]): number =>
  calls.reduce(
    (sum, { kernel }) =>
      kernel.kind === "loop" ? sum + kernel.spec.loads.length + kernel.spec.stores.length : sum,
    0,
  );

Deno.test("a chain of elementwise operations with bias and scale is one kernel", () => {
  const calls = callsOf((x, b) => [mul(tanh(add(x, b)), 0.5)], [8, 16], [16]);
  assert.equal(calls.length, 1);
  assert.equal(traffic(calls), 3);
});

Deno.test("softmax is a maximum, a sum of exponentials and a quotient", () => {
  assert.equal(callsOf((x) => [softmax(x)], [8, 16]).length, 3);
});

Deno.test("layerNorm passes three times over its operand", () => {
  const calls = callsOf((x, gamma, beta) => [layerNorm(x, gamma, beta)], [8, 16], [16], [16]);
  const passes = calls.filter(({ kernel }) => kernel.kind === "loop" && kernel.spec.shape.join() === "8,16");
  assert.equal(passes.length, 3);
  assert.equal(calls.length, 5); // the other two turn one number a row into mean and rsqrt(variance)
});

Deno.test("heads are read where they lie: no copy stands before or between products", () => {
  const calls = callsOf(
    (q, k, v) => {
      const heads = (x: Tensor): Tensor => transpose(reshape(x, [2, 6, 4, 3]), [0, 2, 1, 3]);
      const dims = { batch: [[0, 1], [0, 1]] } as const;
      const scores = dot(heads(q), heads(k), { ...dims, contract: [[3], [3]] });
      return [dot(scores, heads(v), { ...dims, contract: [[3], [2]] })];
    },
    [12, 12],
    [12, 12],
    [12, 12],
  );
  assert.deepEqual(calls.map(({ kernel }) => kernel.kind), ["product", "product"]);
});

Deno.test("the gradient of gelu between two products computes its parts again instead of storing them", () => {
  const product = (a: Tensor, b: Tensor): Tensor => dot(a, b, { batch: [[], []], contract: [[1], [0]] });
  const calls = callsOf(
    (x, w, u) => {
      const loss = reduceSum(product(gelu(product(x, w)), u));
      return grad(loss, [w, u]);
    },
    [8, 8],
    [8, 8],
    [8, 8],
  );
  const loops = calls.filter(({ kernel }) => kernel.kind === "loop");
  // Forward: read x w, store gelu and tanh. Backward: read x w, tanh and the cotangent, store one.
  assert.ok(traffic(loops) <= 8, `${traffic(loops)} arrays are read or written`);
});

Deno.test("exp() on tfjs-wasm is 0 where the result would be subnormal", async () => {
  useEngine(await openEngine("tfjs-wasm"));
  assert.deepEqual(Array.from(await exp(constant([-87.4, -90, -10000, -Infinity])).data()), [0, 0, 0, 0]);
  const [least = 0] = await exp(constant([-87.3])).data();
  assert.ok(least > 1.17549435e-38 && Math.abs(least / Math.exp(Math.fround(-87.3)) - 1) < 1e-6);
  useEngine(undefined);
});
