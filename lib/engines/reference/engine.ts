/**
 * The reference engine: walks a graph in order and computes each node by a plain float64 loop. Slow by design; every
 * other engine is compared with it.
 */
import type {
  Buffer,
  Engine,
  Graph,
  HostArray,
  Program,
  Tensor,
  TensorOf,
  TensorType,
} from "../../tensor/mod.ts";
import { kernels } from "./kernels.ts";
import type { Kernel, Kernels } from "./kernels.ts";
import { fromHost, roundToBfloat16 } from "./values.ts";
import type { Values } from "./values.ts";
import { topological } from "../../tensor/mod.ts";

type ReferenceBuffer = Buffer & { readonly values: Values };

/** Computes one node from the values of its inputs. */
export type HostKernels = (tensor: Tensor, inputs: readonly Values[]) => Values;

/** The loops behind one door: they take any kind of arrays and return the reference engine's own. */
export function hostKernels(): HostKernels {
  const table: Kernels = kernels();
  return (tensor, inputs) => {
    const { op } = tensor;
    if (op === "parameter" || op === "scan" || op === "result") {
      throw new TypeError(`Cannot compute ${op} by a loop: this engine takes unrolled graphs`);
    }
    const values = (table[op] as Kernel<typeof op>)(tensor as TensorOf<typeof op>, inputs);
    return tensor.dtype === "bfloat16" ? roundToBfloat16(values) : values;
  };
}

function compile(graph: Graph): Program {
  const order = topological(graph.outputs);
  const compute = hostKernels();
  const run = (inputs: readonly Buffer[]): Promise<readonly Buffer[]> => {
    const known = new Map<Tensor, Values>();
    graph.parameters.forEach((p, i) => known.set(p as Tensor, (inputs[i] as ReferenceBuffer).values));
    for (const tensor of order) {
      if (known.has(tensor)) continue;
      known.set(tensor, compute(tensor, tensor.inputs.map((input) => known.get(input) as Values)));
    }
    return Promise.resolve(graph.outputs.map((output): ReferenceBuffer => ({
      dtype: output.dtype,
      shape: output.shape,
      values: known.get(output) as Values,
    })));
  };
  return { run, dispose: () => {} };
}

/**
 * The engine of plain float64 loops that every other engine is compared with; slow by design.
 *
 * @returns A new engine; floats are downloaded as Float64Array.
 * @example
 * ```ts
 * import { constant, exp, referenceEngine, useEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * useEngine(referenceEngine());
 * assert.equal((await exp(constant(1)).data())[0], Math.E);
 * useEngine(undefined);
 * ```
 */
export function referenceEngine(): Engine {
  return {
    name: "reference",
    loops: false,
    devices: () => [{ name: "float64 loops", kind: "cpu" }],
    compile: (graph) => Promise.resolve(compile(graph)),
    upload: (values: HostArray, { dtype, shape }: TensorType) => {
      const buffer: ReferenceBuffer = { dtype, shape, values: fromHost(values, dtype) };
      return Promise.resolve(buffer);
    },
    download: (buffer) => Promise.resolve((buffer as ReferenceBuffer).values.slice() as HostArray),
    release: () => {},
    dispose: () => Promise.resolve(),
  };
}
