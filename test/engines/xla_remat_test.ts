/** A scan whose backward loop computes its values again stays a loop: written out, XLA would merge both computations. */
import assert from "node:assert/strict";
import { constant, grad, mul, reduceSum, scan, tanh, topological, trace } from "albert-guide";
import type { Graph, Tensor, TensorType } from "albert-guide";
import { prepared } from "../../lib/engines/xla/simplify.ts";

const square: TensorType = { dtype: "float32", shape: [4] };

function layers(remat: boolean): Graph {
  return trace((x) => {
    const body = ([c]: readonly Tensor[]) => ({ carries: [tanh(mul(c as Tensor, 2))] });
    const { carries } = scan(body, { carries: [mul(x as Tensor, constant(1))], length: 4, remat });
    return grad(reduceSum(carries[0] as Tensor), [x as Tensor]);
  }, [square]);
}

const loops = ({ outputs }: Graph): number => topological(outputs).filter(({ op }) => op === "scan").length;

Deno.test("prepared() writes a short loop out, but not one that is computed again in the backward pass", () => {
  assert.deepEqual([false, true].map((remat) => loops(layers(remat))), [2, 2]);
  assert.equal(loops(prepared(layers(false))), 0);
  assert.equal(loops(prepared(layers(true))), 2);
});
