/**
 * The operations that TensorFlow does better than tfjs' other backends: transposed products without a copy, views that
 * carry their own shape, scattered sums, bits of integers and random bits. They take the place of those in
 * `stock_kernels.ts`, and call the kernels of `kernels.ts`.
 */
import type { Tensor, TensorOf } from "../../../tensor/mod.ts";
import { sizeOf } from "../../../tensor/mod.ts";
import type { TensorInfo } from "../backend.ts";
import type { Context, StockKernels } from "../stock_kernels.ts";
import { chain, integerOperations } from "./integers.ts";

type Node<Name extends keyof StockKernels> = TensorOf<Name> & Tensor;

const shapeOf = (node: Tensor, i: number): readonly number[] => (node.inputs[i] as Tensor).shape;
const sizeAlong = (shape: readonly number[], axes: readonly number[]): number =>
  axes.reduce((product, axis) => product * (shape[axis] as number), 1);
const inOrder = (axes: readonly number[]): boolean => axes.every((axis, i) => axis === i);

/** An operand as a stack of matrices; `turned` says that the contracted axes come first where they should come last. */
function operand(
  context: Context,
  x: TensorInfo,
  shape: readonly number[],
  { batch, contract, side }: {
    readonly batch: readonly number[];
    readonly contract: readonly number[];
    readonly side: 0 | 1;
  },
): { readonly matrix: TensorInfo; readonly turned: boolean } {
  const free = shape.map((_, axis) => axis).filter((axis) =>
    !batch.includes(axis) && !contract.includes(axis)
  );
  const orders = [[...batch, ...free, ...contract], [...batch, ...contract, ...free]] as const;
  const plain = side;
  const contractFirst = inOrder(orders[1 - plain] as readonly number[]) ? 1 - plain : plain;
  const order = orders[contractFirst] as readonly number[];
  const [rows, columns] = contractFirst === 1 ? [contract, free] : [free, contract];
  const stack = batch.length === 0 ? [] : [sizeAlong(shape, batch)];
  const to = [...stack, sizeAlong(shape, rows), sizeAlong(shape, columns)];
  const turned = contractFirst !== plain;
  if (inOrder(order)) return { matrix: context.alias(x, to), turned };
  const moved = context.call("Transpose", { x }, { perm: order });
  const matrix = context.alias(moved, to);
  context.free(moved);
  return { matrix, turned };
}

function dot(context: Context, node: Node<"dot">, [a, b]: readonly TensorInfo[]): TensorInfo {
  const { batch, contract } = node.attributes;
  const left = operand(context, a as TensorInfo, shapeOf(node, 0), {
    batch: batch[0],
    contract: contract[0],
    side: 0,
  });
  const right = operand(context, b as TensorInfo, shapeOf(node, 1), {
    batch: batch[1],
    contract: contract[1],
    side: 1,
  });
  const product = context.call("BatchMatMul", { a: left.matrix, b: right.matrix }, {
    transposeA: left.turned,
    transposeB: right.turned,
  });
  context.free(left.matrix);
  context.free(right.matrix);
  const out = context.alias(product, node.shape);
  context.free(product);
  return out;
}

function broadcast(context: Context, node: Node<"broadcast">, [given]: readonly TensorInfo[]): TensorInfo {
  const { dims } = node.attributes;
  const shape = shapeOf(node, 0);
  const lifted = node.shape.map((_, axis) => dims.includes(axis) ? shape[dims.indexOf(axis)] as number : 1);
  const x = context.alias(given as TensorInfo, lifted);
  const out = context.call("BroadcastTo", { x }, { shape: node.shape });
  context.free(x);
  return out;
}

/** Signed words are the same bits as unsigned ones under +, × and xor. */
const word = (x: number): number => x | 0;

/** The hash that `random_bits.ts` states, on words of the device. */
function randomBits(context: Context, node: Node<"random_bits">, [key]: readonly TensorInfo[]): TensorInfo {
  const { call: run, freeBut } = chain(context);
  const call = (kernel: string, a: TensorInfo, b: TensorInfo): TensorInfo => run(kernel, { a, b });
  const scalar = (value: number): TensorInfo => context.scalar(word(value), "int32");
  const part = (at: number): TensorInfo => run("Slice", { x: key as TensorInfo }, { begin: [at], size: [1] });
  const shift = (x: TensorInfo, by: number): TensorInfo =>
    call("BitwiseXor", x, call("ShiftRightLogical", x, scalar(by)));
  const mix = (x: TensorInfo): TensorInfo => {
    const once = call("Multiply", shift(x, 16), scalar(0x7feb352d));
    return shift(call("Multiply", shift(once, 15), scalar(0x846ca68b)), 16);
  };
  const index = run("Range", {}, { size: sizeOf(node.shape) });
  const h = mix(call("Add", call("Multiply", index, scalar(0x9e3779b9)), part(0)));
  const flat = mix(call("Add", call("BitwiseXor", h, part(1)), index));
  return freeBut(context.alias(flat, node.shape)); // which has no part in the chain
}

const bitwise =
  (onBools: string, onWords: string) =>
  (context: Context, node: Tensor, [a, b]: readonly TensorInfo[]): TensorInfo =>
    context.call(node.dtype === "bool" ? onBools : onWords, { a, b });

/** The entries that differ. */
export const nodeOperations = (): Partial<StockKernels> => ({
  ...integerOperations(),
  mul: (context, _, [a, b]) => context.call("Multiply", { a, b }),
  neg: (context, _, [x]) => context.call("Neg", { x }),
  and: bitwise("LogicalAnd", "BitwiseAnd"),
  or: bitwise("LogicalOr", "BitwiseOr"),
  xor: bitwise("NotEqual", "BitwiseXor"),
  shift_right_logical: (context, _, [a, b]) => context.call("ShiftRightLogical", { a, b }),
  broadcast,
  dot,
  scatter_add: (context, { attributes: { rows } }, [indices, updates]) =>
    context.call("ScatterAdd", { indices, updates }, { rows }),
  random_bits: randomBits,
});
