/**
 * Every primitive operation on xla in bfloat16, and its gradient in float32 and bfloat16, against the reference loops,
 * which compute in float64 and round bfloat16 values after each operation.
 */
import assert from "node:assert/strict";
import {
  cast,
  compile,
  constant,
  grad,
  mul,
  openEngine,
  reduceSum,
  referenceEngine,
  topological,
} from "albert-guide";
import type { Engine, HostArray, OperationName, Tensor, TensorOf } from "albert-guide";
import { node } from "../../lib/tensor/graph.ts";
import { cases, gradientTolerance, numbers, tolerance, toleranceBfloat16 } from "./cases.ts";
import { startXla, xlaHere, xlaNote } from "./xla.ts";

await startXla();

type Precision = "float32" | "bfloat16";

/** The same computation with bfloat16 in place of float32; array constants stay what they are and are cast. */
function inBfloat16(outputs: readonly Tensor[]): Tensor[] {
  const made = new Map<Tensor, Tensor>();
  const typed = (dtype: Tensor["dtype"]): Tensor["dtype"] => dtype === "float32" ? "bfloat16" : dtype;
  for (const tensor of topological(outputs)) {
    const { op, dtype, shape } = tensor;
    const inputs = tensor.inputs.map((input) => made.get(input) as Tensor);
    if (op === "constant" && dtype === "float32") made.set(tensor, cast(tensor, "bfloat16"));
    else if (op === "scan") {
      const { body, backward: _, ...rest } = tensor.attributes;
      const replaced = inBfloat16([...body.parameters, ...body.outputs]);
      const parameters = replaced.slice(0, body.parameters.length) as TensorOf<"parameter">[];
      const graph = { parameters, outputs: replaced.slice(body.parameters.length) };
      made.set(tensor, node("scan", inputs, { ...rest, body: graph, backward: undefined }, tensor));
    } else {
      const type = { dtype: typed(dtype), shape };
      made.set(tensor, node(op as "neg", inputs, tensor.attributes, type) as unknown as Tensor);
    }
  }
  return outputs.map((output) => made.get(output) as Tensor);
}

const isFloat = ({ dtype }: Tensor): boolean => dtype === "float32" || dtype === "bfloat16";

/** The float constants that a tensor is made of; in bfloat16 what was cast from them. */
function leavesOf(tensor: Tensor): Tensor[] {
  const order = topological([tensor]);
  const casts = new Set(
    order.flatMap((each) =>
      each.op === "cast" && each.dtype === "bfloat16" && each.inputs[0]?.op === "constant" ? [each] : []
    ),
  );
  return casts.size > 0 ? [...casts] : order.filter((each) => each.op === "constant" && isFloat(each));
}

/** Gradients of a weighted sum of all elements. */
function gradientsOf(tensor: Tensor): Tensor[] {
  if (!isFloat(tensor)) return [];
  const next = numbers(9);
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const weights = constant(Float32Array.from({ length: count }, () => next() + 0.5), { shape: tensor.shape });
  return grad(reduceSum(mul(cast(tensor, "float32"), weights)), leavesOf(tensor));
}

async function valuesOn(engine: Engine, tensors: readonly Tensor[]): Promise<HostArray[]> {
  const program = await compile(
    () =>
      Object.fromEntries(
        tensors.map((tensor, i) => [`t${i}`, isFloat(tensor) ? cast(tensor, "float32") : tensor]),
      ),
    {},
    { engine },
  );
  const outputs = Object.values(await program.run({}));
  const found: HostArray[] = [];
  for (const output of outputs) {
    found.push(await output.data());
    output.dispose();
  }
  program.dispose();
  return found;
}

async function check(tensors: readonly Tensor[], allowed: number, where: string): Promise<void> {
  if (tensors.length === 0) return;
  const actual = await valuesOn(await openEngine("xla-cpu"), tensors);
  const expected = await valuesOn(referenceEngine(), tensors);
  expected.forEach((want, k) =>
    want.forEach((value, i) => {
      const got = actual[k]?.[i] as number;
      const rounded = want instanceof Float64Array ? Math.fround(value) : value;
      if (Object.is(got, rounded) || got === rounded) return;
      const difference = Math.abs(got - rounded) / Math.max(1, Math.abs(rounded));
      assert.ok(difference <= allowed, `${where}, tensor ${k}[${i}]: ${got}, expected ${rounded}`);
    })
  );
}

/** Half a unit in the last place of bfloat16, at 1. */
const unit16 = 2 ** -8;

for (const op of Object.keys(cases) as OperationName[]) {
  Deno.test(
    { name: `xla-cpu agrees with the reference on ${op} in bfloat16${xlaNote}`, ignore: !xlaHere },
    async () => {
      const tensors = inBfloat16(cases[op]());
      await check(tensors, toleranceBfloat16[op] * unit16, op);
    },
  );
  for (const precision of ["float32", "bfloat16"] as const satisfies readonly Precision[]) {
    Deno.test({
      name: `xla-cpu agrees with the reference on the gradient of ${op} in ${precision}${xlaNote}`,
      ignore: !xlaHere,
    }, async () => {
      // The gradient of a scan is a graph of its own: in bfloat16 its operations are those checked one by one.
      if (precision === "bfloat16" && (op === "scan" || op === "result")) return;
      const tensors = precision === "float32" ? cases[op]() : inBfloat16(cases[op]());
      const unit = precision === "float32" ? Math.max(0.2, tolerance[op]) * 1e-6 : unit16;
      await check(tensors.flatMap(gradientsOf), gradientTolerance[op] * unit, op);
    });
  }
}
