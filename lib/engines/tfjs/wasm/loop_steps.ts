/**
 * Elementwise operations on four lanes: the instructions of one step of a loop.
 */
import type { Comparison, DType } from "../../../tensor/mod.ts";
import { powerIndex } from "./assembler.ts";
import type { OpName } from "./assembler.ts";
import { isFloat } from "./loop_spec.ts";
import type { Mode, Ref, Step } from "./loop_spec.ts";
import { erf, exp, log, tanh } from "./vector_math.ts";
import type { MathContext } from "./vector_math.ts";

const floatBinary: { readonly [op: string]: OpName } = {
  add: "f32x4Add",
  sub: "f32x4Sub",
  mul: "f32x4Mul",
  div: "f32x4Div",
  max: "f32x4Max",
  min: "f32x4Min",
};
const intBinary: { readonly [op: string]: readonly [signed: OpName, unsigned: OpName] } = {
  add: ["i32x4Add", "i32x4Add"],
  sub: ["i32x4Sub", "i32x4Sub"],
  mul: ["i32x4Mul", "i32x4Mul"],
  max: ["i32x4MaxS", "i32x4MaxU"],
  min: ["i32x4MinS", "i32x4MinU"],
  and: ["and", "and"],
  or: ["or", "or"],
  xor: ["xor", "xor"],
};
const compares: {
  readonly [Name in Comparison]: readonly [float: OpName, signed: OpName, unsigned: OpName];
} = {
  eq: ["f32x4Eq", "i32x4Eq", "i32x4Eq"],
  ne: ["f32x4Ne", "i32x4Ne", "i32x4Ne"],
  lt: ["f32x4Lt", "i32x4LtS", "i32x4LtU"],
  le: ["f32x4Le", "i32x4LeS", "i32x4LeU"],
  gt: ["f32x4Gt", "i32x4GtS", "i32x4GtU"],
  ge: ["f32x4Ge", "i32x4GeS", "i32x4GeU"],
};
const unaryFloat: { readonly [op: string]: (math: MathContext) => void } = {
  exp,
  log,
  tanh,
  erf,
  neg: ({ f }) => f.emit("f32x4Neg"),
  abs: ({ f }) => f.emit("f32x4Abs"),
  sqrt: ({ f }) => f.emit("f32x4Sqrt"),
  floor: ({ f }) => f.emit("floor"),
};

/** What steps are written with: locals by role, and a way to put an operand on the stack. */
export type Writer = MathContext & { readonly lin: number; readonly push: (ref: Ref, mode: Mode) => void };

/** h ^= h >> 16; h ×= a; h ^= h >> 15; h ×= b; h ^= h >> 16, in place (see lib/tensor/random_bits.ts). */
function mix({ f, int }: Writer, h: number): void {
  const shiftXor = (places: number): void => {
    f.get(h, h);
    f.i32(places);
    f.emit("i32x4ShrU", "xor");
  };
  const times = (factor: number): void => {
    int(factor);
    f.emit("i32x4Mul");
    f.set(h);
  };
  shiftXor(16);
  times(0x7feb352d);
  shiftXor(15);
  times(0x846ca68b | 0);
  shiftXor(16);
  f.set(h);
}

function randomBits(w: Writer, inputs: readonly Ref[], mode: Mode): void {
  const { f, int, temp } = w;
  const [h, index] = [temp("x"), temp("n")];
  f.get(w.lin);
  f.emit("i32x4Splat");
  f.ints(0, 1, 2, 3);
  f.emit("i32x4Add");
  f.tee(index);
  int(0x9e3779b9 | 0);
  f.emit("i32x4Mul");
  w.push(inputs[0] as Ref, mode);
  f.emit("i32x4Add");
  f.set(h);
  mix(w, h);
  f.get(h);
  w.push(inputs[1] as Ref, mode);
  f.emit("xor");
  f.get(index);
  f.emit("i32x4Add");
  f.set(h);
  mix(w, h);
  f.get(h);
}

function castStep({ f, float, int }: Writer, from: DType, to: DType): void {
  if (to === "bool") {
    if (isFloat(from)) {
      float(0);
      f.emit("f32x4Ne");
    } else {
      int(0);
      f.emit("i32x4Ne");
    }
  } else if (from === "bool") {
    if (isFloat(to)) float(1);
    else int(1);
    f.emit("and");
  } else if (isFloat(from) && !isFloat(to)) f.emit(to === "uint32" ? "truncU" : "truncS");
  else if (!isFloat(from) && isFloat(to)) f.emit(from === "uint32" ? "convertU" : "convertS");
}

/** Operations that have no vector form are done lane by lane. */
function power({ f, temp, push }: Writer, inputs: readonly Ref[], mode: Mode): void {
  const [a, b, out] = [temp("x"), temp("n"), temp("z")];
  push(inputs[0] as Ref, mode);
  f.set(a);
  push(inputs[1] as Ref, mode);
  f.set(b);
  for (let lane = 0; lane < (mode === "four" ? 4 : 1); lane++) {
    if (lane > 0) f.get(out);
    f.get(a);
    f.lane("f32Extract", lane);
    f.get(b);
    f.lane("f32Extract", lane);
    f.call(powerIndex);
    if (lane === 0) f.emit("f32x4Splat");
    else f.lane("f32Replace", lane);
    f.set(out);
  }
  f.get(out);
}

function shift({ f, temp, push }: Writer, inputs: readonly Ref[], mode: Mode): void {
  const places = inputs[1] as Ref;
  push(inputs[0] as Ref, mode);
  if ("number" in places) {
    f.i32(places.number);
    f.emit("i32x4ShrU");
    return;
  }
  const [a, b, out] = [temp("x"), temp("n"), temp("z")];
  f.set(a);
  push(places, mode);
  f.set(b);
  for (let lane = 0; lane < 4; lane++) {
    if (lane > 0) f.get(out);
    f.get(a);
    f.lane("i32Extract", lane);
    f.get(b);
    f.lane("i32Extract", lane);
    f.emit("shrU");
    if (lane === 0) f.emit("i32x4Splat");
    else f.lane("i32Replace", lane);
    f.set(out);
  }
  f.get(out);
}

/** sign: ±1 where x is not zero, x itself where it is 0, -0 or NaN. */
function signStep({ f, float, int, temp }: Writer, from: DType): void {
  const x = temp("x");
  f.set(x);
  if (!isFloat(from)) {
    f.get(x);
    f.i32(31);
    f.emit("i32x4ShrS");
    f.get(x);
    int(0);
    f.emit("i32x4Ne");
    int(1);
    f.emit("and", "or");
    return;
  }
  float(1);
  f.get(x);
  int(-(2 ** 31));
  f.emit("and", "or");
  f.get(x, x);
  float(0);
  f.emit("f32x4Gt");
  f.get(x);
  float(0);
  f.emit("f32x4Lt", "or", "bitselect");
}

/** Leaves the value of a step on the stack. */
export function writeStep(w: Writer, { op: name, inputs, from, to, direction }: Step, mode: Mode): void {
  const { f, push } = w;
  const both = (): void => inputs.forEach((ref) => push(ref, mode));
  if (name === "random_bits") randomBits(w, inputs, mode);
  else if (name === "pow") power(w, inputs, mode);
  else if (name === "shift_right_logical") shift(w, inputs, mode);
  else if (name === "compare") {
    both();
    // A true bool has all bits set: as an unsigned number it is the larger one.
    f.emit(compares[direction ?? "eq"][isFloat(from) ? 0 : from === "int32" ? 1 : 2]);
  } else if (name === "select") {
    push(inputs[1] as Ref, mode);
    push(inputs[2] as Ref, mode);
    push(inputs[0] as Ref, mode);
    f.emit("bitselect");
  } else if (name === "cast") {
    both();
    castStep(w, from, to);
  } else if (name === "not") {
    both();
    f.emit("not");
  } else if (name === "rsqrt") {
    w.float(1);
    both();
    f.emit("f32x4Sqrt", "f32x4Div");
  } else if (name === "sign") {
    both();
    signStep(w, from);
  } else if (inputs.length === 2) {
    both();
    const integer = intBinary[name];
    const found = isFloat(to) ? floatBinary[name] : integer?.[to === "uint32" ? 1 : 0];
    if (found === undefined) {
      throw new TypeError(`Cannot compute ${name} of ${to} in a loop: there is no such step`);
    }
    f.emit(found);
  } else {
    both();
    const unary = unaryFloat[name];
    if (isFloat(from) && unary !== undefined) unary(w);
    else if (name === "neg") f.emit("i32x4Neg");
    else if (name === "abs") f.emit("i32x4Abs");
    // What is left only moves values: reshape, stop_gradient, barrier, all_reduce.
  }
}
