/**
 * The kernels that the engine calls, on TensorFlow's operations: those with tfjs' names take tfjs' inputs and attributes,
 * so that one table of operations serves every backend; those behind them are what tfjs has no name for. Attributes are
 * those of TensorFlow's op registry (tensorflow/core/ops).
 */
import type { KernelFunc, TensorInfo } from "../backend.ts";
import type { TensorFlow } from "./binding.ts";
import { int64Type, uint32Type } from "./binding.ts";

type Given = Readonly<Record<string, TensorInfo>>;
type Wanted = {
  readonly axis: number & readonly number[];
  readonly reductionIndices: readonly number[];
  readonly perm: readonly number[];
  readonly reps: readonly number[];
  readonly begin: readonly number[];
  readonly size: number & readonly number[];
  readonly shape: readonly number[];
  readonly paddings: readonly (readonly number[])[];
  readonly constantValue: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly dtype: TensorInfo["dtype"];
  readonly rows: number;
};
type Make = (tensorFlow: TensorFlow, inputs: Given, attributes: Wanted) => TensorInfo;

const one = (op: string): Make => ({ execute }, { x }) => execute(op, [x as TensorInfo], { T: typeOf(x) });
const two = (op: string): Make => ({ execute }, { a, b }) =>
  execute(op, [a, b] as TensorInfo[], { T: typeOf(a) });
const truth = (op: string): Make => ({ execute }, { a, b }) => execute(op, [a, b] as TensorInfo[], {});
const typeOf = (x: TensorInfo | undefined): TensorInfo["dtype"] => (x as TensorInfo).dtype;

const reduction = (op: string, axes: (wanted: Wanted) => readonly number[]): Make => (tf, { x }, wanted) =>
  tf.execute(op, [x as TensorInfo, tf.vector(axes(wanted))], {
    keep_dims: false,
    T: typeOf(x),
    Tidx: "int32",
  });

/** Values of which the second is freed when the first is made of it. */
function then(tf: TensorFlow, made: TensorInfo, next: (made: TensorInfo) => TensorInfo): TensorInfo {
  try {
    return next(made);
  } finally {
    tf.backend.disposeData(made.dataId);
  }
}

const bits = (tf: TensorFlow, x: TensorInfo, from: "int32" | typeof uint32Type): TensorInfo =>
  tf.execute("Bitcast", [x], { T: from, type: from === "int32" ? uint32Type : "int32" });

/** A matrix product where there is no batch: it is faster than one of a batch of one. */
const product: Make = ({ execute }, { a, b }, { transposeA, transposeB }) =>
  typeOf(a) === "float32" && (a as TensorInfo).shape.length === 2
    ? execute("MatMul", [a, b] as TensorInfo[], {
      T: typeOf(a),
      transpose_a: transposeA,
      transpose_b: transposeB,
    })
    : execute("BatchMatMulV2", [a, b] as TensorInfo[], {
      T: typeOf(a),
      adj_x: transposeA,
      adj_y: transposeB,
    });

const table: Readonly<Record<string, Make>> = {
  ...Object.fromEntries(
    ["Neg", "Exp", "Log", "Tanh", "Erf", "Sqrt", "Rsqrt", "Abs", "Sign", "Floor"].map((op) => [op, one(op)]),
  ),
  LogicalNot: ({ execute }, { x }) => execute("LogicalNot", [x as TensorInfo], {}),
  Add: two("AddV2"),
  Multiply: two("Mul"),
  ...Object.fromEntries(
    [
      ...["Sub", "RealDiv", "Maximum", "Minimum", "Pow", "Equal", "NotEqual"],
      ...["Less", "LessEqual", "Greater", "GreaterEqual", "BitwiseAnd", "BitwiseOr", "BitwiseXor"],
    ].map((op) => [op, two(op)]),
  ),
  LogicalAnd: truth("LogicalAnd"),
  LogicalOr: truth("LogicalOr"),
  Select: ({ execute }, { condition, t, e }) =>
    execute("SelectV2", [condition, t, e] as TensorInfo[], { T: typeOf(t) }),
  Cast: ({ execute }, { x }, { dtype }) =>
    execute("Cast", [x as TensorInfo], { SrcT: typeOf(x), DstT: dtype, Truncate: false }),
  CastUnsigned: (tf, { x }) => {
    const words = bits(tf, x as TensorInfo, "int32");
    return then(
      tf,
      words,
      () => tf.execute("Cast", [words], { SrcT: uint32Type, DstT: "float32", Truncate: false }),
    );
  },
  // By way of int64, of which the lower half is the wanted word, signed or not.
  CastToWhole: (tf, { x }) => {
    const wide = tf.execute("Cast", [x as TensorInfo], { SrcT: "float32", DstT: int64Type, Truncate: false });
    return then(
      tf,
      wide,
      () => tf.execute("Cast", [wide], { SrcT: int64Type, DstT: "int32", Truncate: false }),
    );
  },
  Reshape: (tf, { x }, { shape }) =>
    tf.execute("Reshape", [x as TensorInfo, tf.vector(shape)], { T: typeOf(x), Tshape: "int32" }),
  Transpose: (tf, { x }, { perm }) =>
    tf.execute("Transpose", [x as TensorInfo, tf.vector(perm)], { T: typeOf(x), Tperm: "int32" }),
  BroadcastTo: (tf, { x }, { shape }) =>
    tf.execute("BroadcastTo", [x as TensorInfo, tf.vector(shape)], { T: typeOf(x), Tidx: "int32" }),
  Slice: (tf, { x }, { begin, size }) =>
    tf.execute("Slice", [x as TensorInfo, tf.vector(begin), tf.vector(size as readonly number[])], {
      T: typeOf(x),
      Index: "int32",
    }),
  PadV2: (tf, { x }, { paddings, constantValue }) => {
    const pairs = tf.execute("Reshape", [tf.vector(paddings.flat()), tf.vector([paddings.length, 2])], {
      T: "int32",
      Tshape: "int32",
    });
    const { dtype } = x as TensorInfo;
    const made = dtype === "float32" ? Float32Array : dtype === "int32" ? Int32Array : Uint8Array;
    const dataId = tf.backend.write(made.of(constantValue), [], dtype);
    const value: TensorInfo = { dataId, shape: [], dtype };
    return then(
      tf,
      value,
      () =>
        then(
          tf,
          pairs,
          () => tf.execute("PadV2", [x as TensorInfo, pairs, value], { T: typeOf(x), Tpaddings: "int32" }),
        ),
    );
  },
  Sum: reduction("Sum", ({ axis }) => axis),
  Max: reduction("Max", ({ reductionIndices }) => reductionIndices),
  BatchMatMul: product,
  GatherV2: (tf, { x, indices }, { axis }) =>
    tf.execute("GatherV2", [x as TensorInfo, indices as TensorInfo, tf.vector(axis as number)], {
      Tparams: typeOf(x),
      Tindices: typeOf(indices),
      Taxis: "int32",
    }),
  // TensorFlow leaves out negative rows and refuses those behind the end: these are made negative.
  ScatterAdd: (tf, { indices, updates }, { rows }) => {
    const inside = tf.execute("Less", [indices as TensorInfo, tf.vector(rows)], { T: "int32" });
    const kept = then(
      tf,
      inside,
      () => tf.execute("SelectV2", [inside, indices as TensorInfo, tf.vector(-1)], { T: "int32" }),
    );
    return then(
      tf,
      kept,
      () =>
        tf.execute("UnsortedSegmentSum", [updates as TensorInfo, kept, tf.vector(rows)], {
          T: typeOf(updates),
          Tindices: "int32",
          Tnumsegments: "int32",
        }),
    );
  },
  Range: (tf, _, { size }) =>
    tf.execute("Range", [tf.vector(0), tf.vector(size as number), tf.vector(1)], { Tidx: "int32" }),
  // A shift of signed numbers would repeat their sign.
  ShiftRightLogical: (tf, { a, b }) => {
    const [value, count] = [bits(tf, a as TensorInfo, "int32"), bits(tf, b as TensorInfo, "int32")];
    const moved = then(
      tf,
      value,
      () => then(tf, count, () => tf.execute("RightShift", [value, count], { T: uint32Type })),
    );
    return then(tf, moved, () => bits(tf, moved, uint32Type));
  },
};

function concat(tf: TensorFlow, inputs: readonly TensorInfo[], axis: number): TensorInfo {
  return tf.execute("ConcatV2", [...inputs, tf.vector(axis)], {
    N: { count: inputs.length },
    T: typeOf(inputs[0]),
    Tidx: "int32",
  });
}

/** The kernel of that name, or undefined. */
export function nodeKernel(tf: TensorFlow, name: string): KernelFunc | undefined {
  if (name === "Concat") {
    return ({ inputs, attrs }) => concat(tf, inputs as readonly TensorInfo[], (attrs as Wanted).axis);
  }
  const make = Object.hasOwn(table, name) ? table[name] : undefined;
  return make === undefined ? undefined : ({ inputs, attrs }) => make(tf, inputs as Given, attrs as Wanted);
}
