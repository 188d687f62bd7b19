/**
 * The innermost loop of a kernel: load, compute, store and sum along one row. Its body is written twice, for four elements
 * at once and for the one to three that remain.
 */
import { combine, finishRow, startOf } from "./loop_reductions.ts";
import { isFloat } from "./loop_spec.ts";
import type { LoopSpec, Mode, Reduction, Ref } from "./loop_spec.ts";
import { writeStep } from "./loop_steps.ts";
import type { Writer } from "./loop_steps.ts";

/** A row: where its accesses begin and how they step; loads come first, then stores, then reductions. */
export type Row = {
  readonly spec: LoopSpec;
  /** Locals with the addresses of the row's first elements. */
  readonly cursors: readonly number[];
  /** Elements between neighbours along the row. */
  readonly steps: readonly number[];
  readonly size: number;
  /** Per reduction: whether no other row adds to the same place. */
  readonly alone: readonly boolean[];
};

type Inner = Row & {
  readonly w: Writer;
  /** Byte offset within the row, shared by all accesses of step 1. */
  readonly at: number;
  /** Own addresses of accesses with other steps; -1 for those of step 0 and 1. */
  readonly walking: readonly number[];
  readonly loaded: readonly number[];
  readonly values: readonly number[];
  /** Vectors that sum along the row; -1 for reductions that step with it. */
  readonly sums: readonly number[];
};

function start(row: Row, base: Omit<Writer, "push">): Inner {
  const { spec: { loads, stores, reductions, steps: list }, steps } = row;
  const { f } = base;
  const values = list.map(() => f.local("v128"));
  const loaded = loads.map(() => f.local("v128"));
  const push = (ref: Ref): void => {
    if ("number" in ref) {
      if (isFloat(ref.dtype)) base.float(ref.number);
      else base.int(ref.dtype === "bool" ? (ref.number === 0 ? 0 : -1) : ref.number | 0);
    } else f.get("load" in ref ? loaded[ref.load] as number : values[ref.step] as number);
  };
  return {
    ...row,
    w: { ...base, push },
    at: f.local("i32"),
    walking: steps.map((step) => step === 0 || step === 1 ? -1 : f.local("i32")),
    loaded,
    values,
    sums: reductions.map((_, k) => steps[loads.length + stores.length + k] === 0 ? f.local("v128") : -1),
  };
}

/** Pushes the address of access `i` at the present place. */
function address({ w: { f }, at, walking, cursors, steps }: Inner, i: number): void {
  if (walking[i] !== -1) {
    f.get(walking[i] as number);
    return;
  }
  f.get(cursors[i] as number);
  if (steps[i] === 1) {
    f.get(at);
    f.emit("add");
  }
}

function read(inner: Inner, mode: Mode): void {
  const { w: { f }, spec, steps, loaded } = inner;
  spec.loads.forEach(({ offset }, i) => {
    const step = steps[i] as number;
    // What does not step is loaded before the loop.
    if (step === 0) return;
    address(inner, i);
    if (mode === "one" || step === 1) f.memory(mode === "one" ? "loadSplat" : "load", 4 * offset);
    else {
      f.memory("loadZero", 4 * offset);
      for (let lane = 1; lane < 4; lane++) {
        f.set(loaded[i] as number);
        address(inner, i);
        f.get(loaded[i] as number);
        f.memory("loadLane", 4 * (offset + lane * step), lane);
      }
    }
    f.set(loaded[i] as number);
  });
}

function store(inner: Inner, mode: Mode): void {
  const { w: { f, push }, spec: { loads, stores }, steps } = inner;
  stores.forEach(({ offset, value }, k) => {
    const i = loads.length + k;
    const step = steps[i] as number;
    const whole = mode === "four" && step === 1;
    for (let lane = 0; lane < (mode === "four" && !whole ? 4 : 1); lane++) {
      address(inner, i);
      push(value, mode);
      if (whole) f.memory("store", 4 * offset);
      else f.memory("storeLane", 4 * (offset + lane * step), lane);
    }
  });
}

/** Adds to a sum that is kept in a register along the row. */
function sumInRegister({ w }: Inner, reduction: Reduction, sum: number, mode: Mode): void {
  const { f, push } = w;
  f.get(sum);
  push(reduction.value, mode);
  if (mode === "one") {
    // Only the first lane counts.
    startOf(w, reduction);
    f.ints(-1, 0, 0, 0);
    f.emit("bitselect");
  }
  combine(w, reduction);
  f.set(sum);
}

function reduce(inner: Inner, mode: Mode): void {
  const { w, spec: { loads, stores, reductions }, steps, sums } = inner;
  const { f, push } = w;
  reductions.forEach((reduction, k) => {
    if (sums[k] !== -1) {
      sumInRegister(inner, reduction, sums[k] as number, mode);
      return;
    }
    const i = loads.length + stores.length + k;
    const step = steps[i] as number;
    const whole = mode === "four" && step === 1;
    for (let lane = 0; lane < (mode === "four" && !whole ? 4 : 1); lane++) {
      const offset = 4 * (reduction.offset + lane * step);
      address(inner, i);
      address(inner, i);
      f.memory(whole ? "load" : "loadSplat", offset);
      push(reduction.value, mode);
      combine(w, reduction);
      if (whole) f.memory("store", offset);
      else f.memory("storeLane", offset, lane);
    }
  });
}

function advance({ w: { f, lin }, spec, steps, at, walking }: Inner, count: number): void {
  const move = (local: number, by: number): void => {
    f.get(local);
    f.i32(by);
    f.emit("add");
    f.set(local);
  };
  if (steps.includes(1)) move(at, 4 * count);
  walking.forEach((local, i) => local >= 0 && move(local, 4 * count * (steps[i] as number)));
  if (spec.steps.some(({ op }) => op === "random_bits")) move(lin, count);
}

function body(inner: Inner, mode: Mode): void {
  read(inner, mode);
  inner.spec.steps.forEach((step, i) => {
    writeStep(inner.w, step, mode);
    inner.w.f.set(inner.values[i] as number);
  });
  store(inner, mode);
  reduce(inner, mode);
  advance(inner, mode === "four" ? 4 : 1);
}

/** Before the first element: addresses, loads that do not step, sums at their start. */
function prepare({ w, spec: { loads, reductions }, cursors, steps, at, walking, loaded, sums }: Inner): void {
  const { f } = w;
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
    startOf(w, reductions[k] as Reduction);
    f.set(sum);
  });
}

/** Writes the loop over one row. */
export function writeRow(row: Row, base: Omit<Writer, "push">): void {
  const inner = start(row, base);
  const { f } = base;
  const left = f.local("i32");
  const loop = (count: number, mode: Mode): void => {
    if (count <= 1) {
      if (count === 1) body(inner, mode);
      return;
    }
    f.i32(count);
    f.set(left);
    f.repeat(left, 1, () => body(inner, mode));
  };
  prepare(inner);
  loop(Math.floor(row.size / 4), "four");
  loop(row.size % 4, "one");
  const { loads, stores, reductions } = row.spec;
  reductions.forEach((reduction, k) => {
    const sum = inner.sums[k] as number;
    const cursor = row.cursors[loads.length + stores.length + k] as number;
    if (sum >= 0) finishRow(inner.w, reduction, sum, cursor, row.alone[k] as boolean);
  });
}
