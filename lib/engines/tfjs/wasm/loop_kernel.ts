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
      writeRow({ spec, cursors, steps, size: shape[inner] as number, alone }, w);
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
