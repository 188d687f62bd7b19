/**
 * Loops: one kernel that walks a space of indices, loads what it needs, computes a chain of elementwise operations in
 * registers, four elements at a time, and stores results or sums them along some dimensions.
 */
import { functionBuilder } from "./assembler.ts";
import type { FunctionBuilder } from "./assembler.ts";
import { writeRow } from "./loop_inner.ts";
import { clear } from "./loop_reductions.ts";
import type { Access, LoopSpec } from "./loop_spec.ts";
import type { Writer } from "./loop_steps.ts";
import { firstOnly, moveBy, ownShare, worthSharing } from "./share.ts";
import { collapse } from "./views.ts";

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

/** A space of indices and the steps of each access in it. */
type Walk = { readonly shape: readonly number[]; readonly strides: readonly (readonly number[])[] };

/**
 * The body of a loop kernel; its parameters are the spec's pointers.
 *
 * @param team Threads that share it; of those that cannot, the first runs it.
 * @param sync Index of the function in which all wait for each other.
 */
export function loopKernel(spec: LoopSpec, team: number = 1, sync: number = 0): number[] {
  const accesses: readonly Access[] = [...spec.loads, ...spec.stores, ...spec.reductions];
  const whole = collapse(spec.shape, accesses.map((access) => access.strides));
  const shared = team === 1 ? undefined : sharedWalk(spec, whole, team);
  return writeLoops(spec, accesses, shared ?? whole, { team, sync, shared: shared !== undefined });
}

/**
 * The walk with the axis in front that threads share: one along which every sum has a place of its own, else a part of the
 * innermost one. Random numbers count their elements in order, so there nothing is moved.
 */
function sharedWalk(spec: LoopSpec, { shape, strides }: Walk, team: number): Walk | undefined {
  if (shape.reduce((product, size) => product * size, 1) < worthSharing) return undefined;
  const inner = shape.length - 1;
  const sums = strides.slice(spec.loads.length + spec.stores.length);
  const own = (axis: number): boolean => sums.every((steps) => steps[axis] !== 0);
  const counted = spec.steps.some(({ op }) => op === "random_bits");
  const toFront = (values: readonly number[], axis: number): number[] => [
    values[axis] as number,
    ...values.filter((_, i) => i !== axis),
  ];
  for (let axis = 0; axis < inner; axis++) {
    if (!own(axis) || (shape[axis] as number) < 2 * team || (counted && axis > 0)) continue;
    return { shape: toFront(shape, axis), strides: strides.map((steps) => toFront(steps, axis)) };
  }
  if (!own(inner) || (counted && inner > 0)) return undefined;
  const size = shape[inner] as number;
  const parts = [4, 2, 1].map((times) => times * team).find((count) => size % (4 * count) === 0);
  if (parts === undefined) return undefined;
  return {
    shape: [parts, ...shape.slice(0, inner), size / parts],
    strides: strides.map((steps) => [(steps[inner] as number) * size / parts, ...steps]),
  };
}

function writeLoops(
  spec: LoopSpec,
  accesses: readonly Access[],
  { shape, strides }: Walk,
  { team, sync, shared }: { readonly team: number; readonly sync: number; readonly shared: boolean },
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
  const cleared = spec.reductions.filter((_, k) => empty || !alone[k]);
  const start = (): void => cleared.forEach((reduction) => clear(w, reduction));
  if (!shared) start();
  else if (cleared.length > 0) {
    firstOnly(f, start);
    f.call(sync);
  }
  cursors.forEach((cursor, i) => {
    f.get((accesses[i] as Access).pointer);
    f.set(cursor);
  });
  const stepOf = (i: number, axis: number): number => (strides[i] as readonly number[])[axis] as number;
  const level = (axis: number): void => {
    if (axis === inner) {
      const steps = cursors.map((_, i) => stepOf(i, inner));
      writeRow({ spec, cursors, steps, size: shape[inner] as number, alone }, w);
      return;
    }
    const part = shared && axis === 0 ? ownShare(f, shape[0] as number, team) : undefined;
    const left = part?.share ?? f.local("i32");
    if (part === undefined) {
      f.i32(shape[axis] as number);
      f.set(left);
    } else {
      cursors.forEach((cursor, i) => moveBy(f, cursor, part.from, 4 * stepOf(i, 0)));
      moveBy(f, w.lin, part.from, shape.slice(1).reduce((product, size) => product * size, 1));
    }
    const move = (by: (step: number) => number): void =>
      cursors.forEach((cursor, i) => {
        const step = stepOf(i, axis);
        if (step === 0) return;
        f.get(cursor);
        f.i32(by(step));
        f.emit("add");
        f.set(cursor);
      });
    const walk = (): void =>
      f.repeat(left, 1, () => {
        level(axis + 1);
        move((step) => 4 * step);
      });
    if (part !== undefined) {
      f.get(left);
      f.when(walk);
      return;
    }
    walk();
    move((step) => -4 * step * (shape[axis] as number));
  };
  if (!empty) level(0);
  const body = joinPrologue(prologue, f);
  return team > 1 && !shared ? body.finish(true) : body.finish(false);
}

/** Constants are set once at the start: their code goes before the loops. */
function joinPrologue(
  prologue: FunctionBuilder,
  f: FunctionBuilder,
): { readonly finish: (firstAlone: boolean) => number[] } {
  const code = f.code.splice(0);
  const put = (): void => {
    for (const byte of prologue.code) f.code.push(byte);
    for (const byte of code) f.code.push(byte);
  };
  return {
    finish: (firstAlone) => {
      if (firstAlone) firstOnly(f, put);
      else put();
      return f.finish();
    },
  };
}
