/**
 * Nodes and their helpers: making a node, walking a graph in order, checking types. The graph is immutable; a
 * transformation makes new nodes.
 */
import { checkDType, checkShape } from "./checks.ts";
import { evaluate } from "./interactive.ts";
import type {
  DType,
  Graph,
  HostArray,
  OperationAttributes,
  OperationName,
  Shape,
  Tensor,
  TensorOf,
  TensorType,
} from "./types.ts";

// A scan tells by these numbers what was made inside its body.
const serials = new WeakMap<object, number>();
let made = 0;

/** How many nodes were made before this one; without a node, how many there are. */
export function serialOf(tensor?: Tensor): number {
  return tensor === undefined ? made : serials.get(tensor) ?? 0;
}

/** Makes a node. Operations call this after their shape rule has passed; what no rule looks at is refused here. */
export function node<Name extends OperationName>(
  op: Name,
  inputs: readonly Tensor[],
  attributes: OperationAttributes[Name],
  { dtype, shape }: TensorType,
): TensorOf<Name> {
  checkDType(dtype, `${op} to`);
  checkShape(
    { dtype, shape },
    (type) =>
      op === "parameter" && "name" in attributes
        ? `take ${attributes.name} as ${type}`
        : `make ${type} by ${op}`,
  );
  const self: TensorOf<Name> = {
    op,
    inputs,
    attributes,
    dtype,
    shape,
    data: () => evaluate(self as unknown as Tensor),
  };
  serials.set(self, made++);
  return self;
}

/**
 * The number of elements of a shape; 1 for a scalar.
 *
 * @example
 * ```ts
 * import { sizeOf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(sizeOf([2, 3]), 6);
 * assert.equal(sizeOf([]), 1);
 * ```
 */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Whether gradients flow through values of this type. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "bfloat16";
}

/**
 * `float32 [2, 3]`, for messages.
 *
 * @example
 * ```ts
 * import { describe, zeros } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(describe(zeros([2, 3])), "float32 [2, 3]");
 * ```
 */
export function describe({ dtype, shape }: TensorType): string {
  return `${dtype} [${shape.join(", ")}]`;
}

/** Refuses what is no tensor, or none of floating values, in the words of the operation that was given it. */
export function floating(x: Tensor, action: string): Tensor {
  if (!isFloat(asTensor(x, action).dtype)) {
    throw new TypeError(`Cannot ${action} ${describe(x)}: it takes floating values, cast it first`);
  }
  return x;
}

/** Refuses what is no tensor; types say so too, but not in every notebook. */
export function asTensor(x: Tensor, action: string): Tensor {
  if (typeof x !== "object" || x === null || typeof x.op !== "string") {
    throw new TypeError(
      `Cannot ${action} ${Array.isArray(x) ? "a list" : String(x)}: it is no tensor, make one by constant()`,
    );
  }
  return x;
}

/** A value that only a caller can give: the `index`-th argument of a program. */
export function parameter(
  index: number,
  type: TensorType,
  name: string = `argument ${index}`,
): TensorOf<"parameter"> {
  return node("parameter", [], { index, name }, type);
}

/**
 * All nodes that the outputs need, inputs before users. The order depends only on the structure, so programs and
 * caches are the same from run to run.
 *
 * @example
 * ```ts
 * import { add, constant, exp, topological } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const x = exp(constant(1));
 * assert.deepEqual(topological([add(x, x)]).map(({ op }) => op), ["constant", "exp", "add"]);
 * ```
 */
export function topological(outputs: readonly Tensor[]): Tensor[] {
  const order: Tensor[] = [];
  const done = new Set<Tensor>();
  const stack: { readonly tensor: Tensor; next: number }[] = [];
  for (const output of outputs) {
    if (!done.has(output)) stack.push({ tensor: output, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as { readonly tensor: Tensor; next: number };
      const input = top.tensor.inputs[top.next++];
      if (input === undefined) {
        stack.pop();
        if (!done.has(top.tensor)) order.push(top.tensor);
        done.add(top.tensor);
      } else if (!done.has(input)) {
        stack.push({ tensor: input, next: 0 });
      }
    }
  }
  return order;
}

/**
 * Traces a function into a graph.
 *
 * @param fn Called once with one parameter per type; returns the outputs.
 * @param types Type of each parameter.
 * @returns The graph.
 * @example
 * ```ts
 * import { mul, trace } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph = trace((x, y) => [mul(x, y)], [
 *   { dtype: "float32", shape: [2] },
 *   { dtype: "float32", shape: [] },
 * ]);
 * assert.deepEqual(graph.outputs[0]?.shape, [2]);
 * ```
 */
export function trace(
  fn: (...parameters: Tensor[]) => readonly Tensor[],
  types: readonly TensorType[],
): Graph {
  const parameters = types.map((type, index) => parameter(index, type));
  return { parameters, outputs: fn(...parameters) };
}

/**
 * Host memory of the right kind for an element type.
 *
 * @example
 * ```ts
 * import { hostArray } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(hostArray("uint32", 2), Uint32Array.of(0, 0));
 * ```
 */
export function hostArray(dtype: DType, length: number): HostArray {
  switch (dtype) {
    case "int32":
      return new Int32Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "bool":
      return new Uint8Array(length);
    default:
      return new Float32Array(length);
  }
}
