/**
 * Loops: one kernel that walks a space of indices, loads what it needs, computes a chain of elementwise operations in
 * registers, four elements at a time, and stores results or sums them along some dimensions.
 *
 * In memory every element has four bytes; bool is 0 or -1 (all bits), so that a loaded bool is a mask.
 */
import type { Comparison, DType, OperationAttributes } from "../../../tensor/mod.ts";
import { functionBuilder, powerIndex } from "./assembler.ts";
import type { FunctionBuilder, OpName } from "./assembler.ts";
import { collapse } from "./views.ts";
import { erf, exp, log, tanh } from "./vector_math.ts";
import type { MathContext } from "./vector_math.ts";

/** An operand of a step: a load, an earlier step, or a number. */
export type Ref =
  | { readonly load: number }
  | { readonly step: number }
  | { readonly number: number; readonly dtype: DType };

/** One elementwise operation. */
export type Step = {
  readonly op: keyof OperationAttributes;
  readonly inputs: readonly Ref[];
  /** Type of the operands. */
  readonly from: DType;
  /** Type of the result. */
  readonly to: DType;
  readonly direction?: Comparison;
};

/** Memory walked by a loop: a pointer parameter, an offset and steps in elements. */
export type Access = {
  readonly pointer: number;
  readonly offset: number;
  readonly strides: readonly number[];
};

/** What a loop kernel does. It is plain data: equal specs share their code. */
export type LoopSpec = {
  readonly shape: readonly number[];
  readonly loads: readonly Access[];
  readonly steps: readonly Step[];
  readonly stores: readonly (Access & { readonly value: Ref })[];
  /** Strides are 0 along summed dimensions; `count` is the size of the result. */
  readonly reductions: readonly (Access & {
    readonly value: Ref;
    readonly kind: "sum" | "max";
    readonly dtype: DType;
    readonly count: number;
  })[];
  readonly pointers: number;
};

type Mode = "four" | "one";
const isFloat = (dtype: DType): boolean => dtype === "float32";

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

type Writer = MathContext & { readonly lin: number; readonly push: (ref: Ref, mode: Mode) => void };

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
function writeStep(w: Writer, { op: name, inputs, from, to, direction }: Step, mode: Mode): void {
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

/** The value with which a maximum starts. */
function lowest({ float, int }: MathContext, dtype: DType): void {
  if (isFloat(dtype)) float(-Infinity);
  else int(dtype === "uint32" ? 0 : -(2 ** 31));
}

type Reduction = LoopSpec["reductions"][number];

function combine({ f }: MathContext, { kind, dtype }: Reduction): void {
  if (kind === "sum") f.emit(isFloat(dtype) ? "f32x4Add" : "i32x4Add");
  else f.emit(isFloat(dtype) ? "f32x4Max" : dtype === "uint32" ? "i32x4MaxU" : "i32x4MaxS");
}

function startOf(math: MathContext, { kind, dtype }: Reduction): void {
  if (kind === "sum") math.int(0);
  else lowest(math, dtype);
}

/** Fills a result with the value that a reduction starts with. */
function clear(math: MathContext, reduction: Reduction): void {
  const { f } = math;
  const bytes = 4 * reduction.count;
  if (reduction.kind === "sum" || bytes === 0) {
    f.get(reduction.pointer);
    if (reduction.offset > 0) {
      f.i32(4 * reduction.offset);
      f.emit("add");
    }
    f.i32(0);
    f.i32(bytes);
    f.bulk("fill");
    return;
  }
  const left = f.local("i32");
  f.i32(bytes);
  f.set(left);
  f.repeat(left, 4, () => {
    f.get(reduction.pointer, left);
    f.emit("add");
    f.i32(4);
    f.emit("sub");
    startOf(math, reduction);
    f.memory("storeLane", 4 * reduction.offset, 0);
  });
}

function makeWriter(f: FunctionBuilder, prologue: FunctionBuilder): Omit<Writer, "push"> {
  const constants = new Map<string, number>();
  const temps = new Map<string, number>();
  const kept = (key: string, write: () => void): void => {
    let local = constants.get(key);
    if (local === undefined) {
      constants.set(key, local = f.local("v128"));
      write();
      prologue.set(local);
    }
    f.get(local);
  };
  return {
    f,
    lin: f.local("i32"),
    float: (value) => kept(`f${Object.is(value, -0) ? "-0" : value}`, () => prologue.floats(value)),
    int: (value) => kept(`i${value}`, () => prologue.ints(value)),
    temp: (name) => {
      const local = temps.get(name) ?? f.local("v128");
      temps.set(name, local);
      return local;
    },
  };
}

/** The innermost loop: its body is written twice, for four elements and for the one to three that remain. */
function writeInner(
  spec: LoopSpec,
  w: Omit<Writer, "push">,
  cursors: readonly number[],
  steps: readonly number[],
  size: number,
  alone: readonly boolean[],
): void {
  const { f } = w;
  const { loads, stores, reductions } = spec;
  const at = f.local("i32");
  const left = f.local("i32");
  const values = spec.steps.map(() => f.local("v128"));
  const loaded = loads.map(() => f.local("v128"));
  const walking = steps.map((step) => step === 0 || step === 1 ? -1 : f.local("i32"));
  const sums = reductions.map((_, i) => steps[loads.length + stores.length + i] === 0 ? f.local("v128") : -1);
  const push = (ref: Ref): void => {
    if ("number" in ref) {
      if (isFloat(ref.dtype)) w.float(ref.number);
      else w.int(ref.dtype === "bool" ? (ref.number === 0 ? 0 : -1) : ref.number | 0);
    } else f.get("load" in ref ? loaded[ref.load] as number : values[ref.step] as number);
  };
  const writer: Writer = { ...w, push };
  const address = (i: number): void => {
    if (walking[i] === -1) {
      f.get(cursors[i] as number);
      if (steps[i] === 1) {
        f.get(at);
        f.emit("add");
      }
    } else f.get(walking[i] as number);
  };
  const readAll = (mode: Mode): void =>
    loads.forEach(({ offset }, i) => {
      const step = steps[i] as number;
      if (step === 0) return;
      if (mode === "one" || step === 1) {
        address(i);
        f.memory(mode === "one" ? "loadSplat" : "load", 4 * offset);
      } else {
        address(i);
        f.memory("loadZero", 4 * offset);
        for (let lane = 1; lane < 4; lane++) {
          f.set(loaded[i] as number);
          address(i);
          f.get(loaded[i] as number);
          f.memory("loadLane", 4 * (offset + lane * step), lane);
        }
      }
      f.set(loaded[i] as number);
    });
  const storeAll = (mode: Mode): void =>
    stores.forEach(({ offset, value }, k) => {
      const i = loads.length + k;
      const step = steps[i] as number;
      if (mode === "four" && step === 1) {
        address(i);
        push(value);
        f.memory("store", 4 * offset);
        return;
      }
      for (let lane = 0; lane < (mode === "four" ? 4 : 1); lane++) {
        address(i);
        push(value);
        f.memory("storeLane", 4 * (offset + lane * step), lane);
      }
    });
  const reduceAll = (mode: Mode): void =>
    reductions.forEach((reduction, k) => {
      const i = loads.length + stores.length + k;
      const sum = sums[k] as number;
      if (sum >= 0) {
        f.get(sum);
        if (mode === "four") push(reduction.value);
        else {
          // Only the first lane counts.
          push(reduction.value);
          startOf(writer, reduction);
          f.ints(-1, 0, 0, 0);
          f.emit("bitselect");
        }
        combine(writer, reduction);
        f.set(sum);
        return;
      }
      const step = steps[i] as number;
      const whole = mode === "four" && step === 1;
      for (let lane = 0; lane < (mode === "four" && !whole ? 4 : 1); lane++) {
        const offset = 4 * (reduction.offset + lane * step);
        address(i);
        address(i);
        f.memory(whole ? "load" : "loadSplat", offset);
        push(reduction.value);
        combine(writer, reduction);
        if (whole) f.memory("store", offset);
        else f.memory("storeLane", offset, lane);
      }
    });
  const advance = (count: number): void => {
    const move = (local: number, by: number): void => {
      f.get(local);
      f.i32(by);
      f.emit("add");
      f.set(local);
    };
    if (steps.includes(1)) move(at, 4 * count);
    walking.forEach((local, i) => local >= 0 && move(local, 4 * count * (steps[i] as number)));
    if (spec.steps.some(({ op: name }) => name === "random_bits")) move(w.lin, count);
  };
  const body = (mode: Mode): void => {
    readAll(mode);
    spec.steps.forEach((step, i) => {
      writeStep(writer, step, mode);
      f.set(values[i] as number);
    });
    storeAll(mode);
    reduceAll(mode);
    advance(mode === "four" ? 4 : 1);
  };
  const loop = (count: number, mode: Mode): void => {
    if (count === 0) return;
    if (count === 1) return body(mode);
    f.i32(count);
    f.set(left);
    f.repeat(left, 1, () => body(mode));
  };
  f.i32(0);
  f.set(at);
  walking.forEach((local, i) => {
    if (local < 0) return;
    f.get(cursors[i] as number);
    f.set(local);
  });
  loads.forEach(({ offset }, i) => {
    if (steps[i] !== 0) return;
    f.get(cursors[i] as number);
    f.memory("loadSplat", 4 * offset);
    f.set(loaded[i] as number);
  });
  sums.forEach((sum, k) => {
    if (sum < 0) return;
    startOf(writer, reductions[k] as Reduction);
    f.set(sum);
  });
  loop(Math.floor(size / 4), "four");
  loop(size % 4, "one");
  reductions.forEach((reduction, k) => {
    const cursor = cursors[loads.length + stores.length + k] as number;
    if (sums[k] as number >= 0) finishRow(writer, reduction, sums[k] as number, cursor, alone[k] as boolean);
  });
}

/** Joins the four lanes of a row's sum and adds them to its place (or stores them where nothing else adds). */
function finishRow(
  math: MathContext,
  reduction: Reduction,
  sum: number,
  cursor: number,
  alone: boolean,
): void {
  const { f } = math;
  for (const lanes of [[2, 3, 0, 1], [1, 0, 3, 2]]) {
    f.get(sum, sum, sum);
    f.shuffle(lanes);
    combine(math, reduction);
    f.set(sum);
  }
  f.get(cursor, sum);
  if (!alone) {
    f.get(cursor);
    f.memory("loadZero", 4 * reduction.offset);
    combine(math, reduction);
  }
  f.memory("storeLane", 4 * reduction.offset, 0);
}

/** The body of a loop kernel; its parameters are the spec's pointers. */
export function loopKernel(spec: LoopSpec): number[] {
  const accesses: readonly Access[] = [...spec.loads, ...spec.stores, ...spec.reductions];
  const { shape, strides } = collapse(spec.shape, accesses.map((access) => access.strides));
  return writeLoops(spec, accesses, shape, strides);
}

function writeLoops(
  spec: LoopSpec,
  accesses: readonly Access[],
  shape: readonly number[],
  strides: readonly (readonly number[])[],
): number[] {
  const prologue = functionBuilder(spec.pointers);
  const f = functionBuilder(spec.pointers);
  const w = makeWriter(f, prologue);
  const cursors = accesses.map(() => f.local("i32"));
  const inner = shape.length - 1;
  const empty = shape.some((size) => size === 0);
  const firstReduction = spec.loads.length + spec.stores.length;
  const alone = spec.reductions.map((_, k) =>
    (strides[firstReduction + k] as readonly number[]).every((step, axis) =>
      axis === inner ? step === 0 : step !== 0
    )
  );
  spec.reductions.forEach((reduction, k) => (empty || !alone[k]) && clear(w, reduction));
  cursors.forEach((cursor, i) => {
    f.get((accesses[i] as Access).pointer);
    f.set(cursor);
  });
  const stepOf = (i: number, axis: number): number => (strides[i] as readonly number[])[axis] as number;
  const level = (axis: number): void => {
    if (axis === inner) {
      const steps = cursors.map((_, i) => stepOf(i, inner));
      writeInner(spec, w, cursors, steps, shape[inner] as number, alone);
      return;
    }
    const left = f.local("i32");
    f.i32(shape[axis] as number);
    f.set(left);
    const move = (by: (step: number) => number): void =>
      cursors.forEach((cursor, i) => {
        const step = stepOf(i, axis);
        if (step === 0) return;
        f.get(cursor);
        f.i32(by(step));
        f.emit("add");
        f.set(cursor);
      });
    f.repeat(left, 1, () => {
      level(axis + 1);
      move((step) => 4 * step);
    });
    move((step) => -4 * step * (shape[axis] as number));
  };
  if (!empty) level(0);
  return joinPrologue(prologue, f);
}

/** Constants are set once at the start: their code goes before the loops. */
function joinPrologue(prologue: FunctionBuilder, f: FunctionBuilder): number[] {
  const code = f.code.splice(0);
  for (const byte of prologue.code) f.code.push(byte);
  for (const byte of code) f.code.push(byte);
  return f.finish();
}
