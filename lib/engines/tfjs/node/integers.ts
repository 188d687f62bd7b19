/**
 * Integers on TensorFlow: the engine keeps uint32 as the bits of an int32, so their order, their largest and their casts
 * take a step more than those of signed numbers. Casts from floats end at the type's limits, and NaN becomes 0, as the
 * reference's do; TensorFlow's own leave both open.
 */
import type { Tensor, TensorOf } from "../../../tensor/mod.ts";
import type { TensorInfo } from "../backend.ts";
import { stockKernels } from "../stock_kernels.ts";
import type { Context, StockKernels } from "../stock_kernels.ts";

const inputType = (node: Tensor): Tensor["dtype"] => (node.inputs[0] as Tensor).dtype;
const isWhole = (dtype: Tensor["dtype"]): boolean => dtype === "int32" || dtype === "uint32";

/** Runs kernels one inside the other and frees what lies between. */
export function chain(context: Context): {
  readonly call: (kernel: string, inputs: object, attributes?: object) => TensorInfo;
  readonly freeBut: (out: TensorInfo) => TensorInfo;
} {
  const made: TensorInfo[] = [];
  return {
    call: (kernel, inputs, attributes) => {
      const out = context.call(kernel, inputs, attributes);
      made.push(out);
      return out;
    },
    freeBut: (out) => {
      made.filter((each) => each !== out).forEach(context.free);
      return out;
    },
  };
}

/** Unsigned numbers and signed ones in the same order: the highest bit turned. */
const turned = (context: Context, call: Context["call"], x: TensorInfo): TensorInfo =>
  call("BitwiseXor", { a: x, b: context.scalar(-(2 ** 31), "int32") });

function ordered(kernel: string, back: boolean) {
  return (context: Context, [a, b]: readonly TensorInfo[]): TensorInfo => {
    const { call, freeBut } = chain(context);
    const out = call(kernel, {
      a: turned(context, call, a as TensorInfo),
      b: turned(context, call, b as TensorInfo),
    });
    return freeBut(back ? turned(context, call, out) : out);
  };
}

/** Entries for which unsigned numbers need another order. */
function extreme(kernel: "Maximum" | "Minimum") {
  return (context: Context, node: Tensor, inputs: readonly TensorInfo[]): TensorInfo =>
    inputType(node) === "uint32"
      ? ordered(kernel, true)(context, inputs)
      : context.call(kernel, { a: inputs[0], b: inputs[1] });
}

function compare(context: Context, node: TensorOf<"compare"> & Tensor, inputs: readonly TensorInfo[]) {
  const kernels = { lt: "Less", le: "LessEqual", gt: "Greater", ge: "GreaterEqual" } as const;
  const { direction } = node.attributes;
  if (inputType(node) !== "uint32" || direction === "eq" || direction === "ne") {
    const kernel = direction === "eq" ? "Equal" : direction === "ne" ? "NotEqual" : kernels[direction];
    return context.call(kernel, { a: inputs[0], b: inputs[1] });
  }
  return ordered(kernels[direction], false)(context, inputs);
}

/** Floats to whole numbers; `top` is the first float above the type, `below` the last one inside. */
function fromFloat(context: Context, x: TensorInfo, dtype: "int32" | "uint32"): TensorInfo {
  const signed = dtype === "int32";
  const [low, below, top] = signed ? [-(2 ** 31), 2 ** 31 - 128, 2 ** 31] : [0, 2 ** 32 - 256, 2 ** 32];
  const float = (value: number): TensorInfo => context.scalar(value, "float32");
  const { call, freeBut } = chain(context);
  const known = call("Select", { condition: call("Equal", { a: x, b: x }), t: x, e: float(0) });
  const inside = call("Minimum", { a: call("Maximum", { a: known, b: float(low) }), b: float(below) });
  const whole = call("CastToWhole", { x: inside });
  const over = call("GreaterEqual", { a: x, b: float(top) });
  return freeBut(
    call("Select", { condition: over, t: context.scalar(signed ? 2 ** 31 - 1 : -1, "int32"), e: whole }),
  );
}

function cast(context: Context, node: TensorOf<"cast"> & Tensor, inputs: readonly TensorInfo[]) {
  const x = inputs[0] as TensorInfo;
  const [from, to] = [inputType(node), node.dtype];
  if (from === "uint32" && to === "float32") return context.call("CastUnsigned", { x });
  if (from === "float32" && (to === "int32" || to === "uint32")) return fromFloat(context, x, to);
  if (from === "bool" && to === "uint32") return context.call("Cast", { x }, { dtype: "int32" });
  return stockKernels().cast(context, node, inputs);
}

const unary =
  (kernel: string) => (context: Context, node: Tensor, [x]: readonly TensorInfo[]): TensorInfo => {
    // Whole numbers are their own floor, and unsigned ones their own magnitude.
    if (kernel === "Floor" && isWhole(node.dtype) || kernel === "Abs" && node.dtype === "uint32") {
      return context.alias(x as TensorInfo, node.shape);
    }
    if (kernel !== "Sign" || node.dtype !== "uint32") return context.call(kernel, { x });
    const { call, freeBut } = chain(context);
    const isNot0 = call("NotEqual", { a: x, b: context.scalar(0, "int32") });
    return freeBut(call("Cast", { x: isNot0 }, { dtype: "int32" }));
  };

/** The entries that differ from those of tfjs' other backends. */
export const integerOperations = (): Partial<StockKernels> => ({
  cast,
  compare,
  max: extreme("Maximum"),
  min: extreme("Minimum"),
  abs: unary("Abs"),
  sign: unary("Sign"),
  floor: unary("Floor"),
  pad: (context, { attributes: { low, high, value } }, [x]) =>
    context.call("PadV2", { x }, {
      paddings: low.map((before, axis) => [before, high[axis] as number]),
      constantValue: value,
    }),
  reduce_max: (context, node, [x]) => {
    const attributes = { reductionIndices: node.attributes.axes, keepDims: false };
    if (inputType(node) !== "uint32") return context.call("Max", { x }, attributes);
    const { call, freeBut } = chain(context);
    const most = call("Max", { x: turned(context, call, x as TensorInfo) }, attributes);
    return freeBut(turned(context, call, most));
  },
});
