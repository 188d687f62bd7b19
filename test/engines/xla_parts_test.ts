/** Names of values that have none, by the weights that they are made with. */
import assert from "node:assert/strict";
import { add, dot, exp, graphOf, matmul, mul, reduceSum, tanh, type Tensor, topological } from "albert-guide";
import { argumentGroups, describeValue, partOf, valueGroups } from "../../lib/engines/xla/parts.ts";

const float = (...shape: number[]) => ({ dtype: "float32", shape } as const);

/** Two heads of attention and a dense layer, named as in ALBERT. */
const { outputs, parameters } = graphOf(
  ({ w, x }) => {
    const dense = (name: string, y: Tensor): Tensor =>
      add(matmul(y, w[`${name}/kernel`] as Tensor), w[`${name}/bias`] as Tensor);
    const scores = dot(dense("layer/self/query", x), dense("layer/self/key", x), {
      batch: [[], []],
      contract: [[1], [1]],
    });
    const mixed = matmul(exp(scores), dense("layer/self/value", x));
    return { scores, mixed, out: tanh(dense("layer/output/dense", mixed)), sum: reduceSum(mul(x, 2)) };
  },
  {
    w: Object.fromEntries(
      ["self/query", "self/key", "self/value", "output/dense"].flatMap((part) => [
        [`layer/${part}/kernel`, float(4, 4)],
        [`layer/${part}/bias`, float(4)],
      ]),
    ),
    x: float(6, 4),
  },
);
const [scores, mixed, out, sum] = outputs as [Tensor, Tensor, Tensor, Tensor];

Deno.test("partOf() takes a product's weight, else what the parts of its operands share", () => {
  assert.equal(partOf(scores), "layer/self");
  assert.equal(partOf(mixed), "layer/self");
  assert.equal(partOf(scores.inputs[0] as Tensor), "layer/self/query");
  assert.equal(partOf(out), "layer/output/dense");
  const exponentials = topological(outputs).find(({ op }) => op === "exp") as Tensor;
  assert.equal(describeValue(exponentials), "exp float32 [6, 6] of layer/self");
});

Deno.test("partOf() names plain arguments where there are no weights, and ends soon in deep graphs", () => {
  assert.equal(partOf(sum), "x");
  let deep = sum;
  for (let i = 0; i < 40; i++) deep = dot(deep, exp(deep), { batch: [[], []], contract: [[], []] });
  assert.equal(typeof partOf(deep), "string"); // each product asks for two parts: 2 ** 40 of them in all
});

Deno.test("valueGroups() and argumentGroups() put the largest first and count what is alike", () => {
  assert.deepEqual(valueGroups([sum, scores, scores]), [
    { words: "2 × dot float32 [6, 6] of layer/self", bytes: 288 },
    { words: "reduce_sum float32 [] of x", bytes: 4 },
  ]);
  assert.deepEqual(argumentGroups(parameters), [
    { words: "w: 8 arguments, the largest w.layer/self/query/kernel float32 [4, 4]", bytes: 320 },
    { words: "x float32 [6, 4]", bytes: 96 },
  ]);
});
