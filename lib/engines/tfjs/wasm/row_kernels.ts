/**
 * Rows of a table: gather copies those that indices name, scatter_add adds rows to a table of zeros. Indices, table and
 * rows lie in row-major order.
 */
import { functionBuilder } from "./assembler.ts";
import type { FunctionBuilder } from "./assembler.ts";
import { firstOnly, moveBy, ownShare } from "./share.ts";
import type { DType } from "../../../tensor/mod.ts";

/** Sizes; plain data, so equal kernels share their code. */
export type RowsSpec = {
  readonly kind: "gather" | "scatter_add";
  readonly count: number;
  readonly rows: number;
  readonly width: number;
  readonly dtype: DType;
};

/** For each index: `body` with the row number on hand; both row pointers advance. */
function eachIndex(
  f: FunctionBuilder,
  { count, width }: RowsSpec,
  linear: number,
  team: number,
  body: (row: number) => void,
): void {
  const [indices, row] = [1, f.local("i32")];
  if (count === 0) return;
  const part = team > 1 ? ownShare(f, count, team) : undefined;
  const left = part?.share ?? f.local("i32");
  if (part === undefined) {
    f.i32(count);
    f.set(left);
  } else {
    moveBy(f, indices, part.from, 4);
    moveBy(f, linear, part.from, 4 * width);
  }
  const whole = (): void =>
    f.repeat(left, 1, () => {
      f.get(indices);
      f.memory("i32Load");
      f.set(row);
      body(row);
      for (const [local, bytes] of [[indices, 4], [linear, 4 * width]] as const) {
        f.get(local);
        f.i32(bytes);
        f.emit("add");
        f.set(local);
      }
    });
  f.get(left);
  f.when(whole);
}

/** Moves `width` elements from one address to another, adding where asked. */
function moveRow(
  f: FunctionBuilder,
  from: number,
  to: number,
  { width, dtype }: RowsSpec,
  adds: boolean,
): void {
  const at = f.local("i32");
  const left = f.local("i32");
  f.i32(0);
  f.set(at);
  const part = (four: boolean): void => {
    f.get(to, at);
    f.emit("add");
    f.get(from, at);
    f.emit("add");
    f.memory(four ? "load" : "loadZero");
    if (adds) {
      f.get(to, at);
      f.emit("add");
      f.memory(four ? "load" : "loadZero");
      f.emit(dtype === "float32" ? "f32x4Add" : "i32x4Add");
    }
    if (four) f.memory("store");
    else f.memory("storeLane", 0, 0);
    f.get(at);
    f.i32(four ? 16 : 4);
    f.emit("add");
    f.set(at);
  };
  for (const [count, four] of [[Math.floor(width / 4), true], [width % 4, false]] as const) {
    if (count === 0) continue;
    f.i32(count);
    f.set(left);
    f.repeat(left, 1, () => part(four));
  }
}

/** Address of a row of a table. */
function rowAddress(f: FunctionBuilder, table: number, row: number, width: number, out: number): void {
  f.get(row);
  f.i32(4 * width);
  f.emit("mul");
  f.get(table);
  f.emit("add");
  f.set(out);
}

/** gather: parameters table, indices, out. An index outside is held within the table. */
function gatherKernel(spec: RowsSpec, team: number): number[] {
  const f = functionBuilder(3);
  const from = f.local("i32");
  eachIndex(f, spec, 2, team, (row) => {
    const clamp = (bound: number, beyond: "ltS" | "gtS"): void => {
      f.i32(bound);
      f.get(row, row);
      f.i32(bound);
      f.emit(beyond, "select");
      f.set(row);
    };
    clamp(0, "ltS");
    clamp(spec.rows - 1, "gtS");
    rowAddress(f, 0, row, spec.width, from);
    moveRow(f, from, 2, spec, false);
  });
  return f.finish();
}

/** scatter_add: parameters table (the result), indices, updates. An index outside drops its update. */
function scatterKernel(spec: RowsSpec, team: number): number[] {
  const f = functionBuilder(3);
  const to = f.local("i32");
  const all = (): void => {
    f.get(0);
    f.i32(0);
    f.i32(4 * spec.rows * spec.width);
    f.bulk("fill");
    eachIndex(f, spec, 2, 1, (row) => {
      f.get(row);
      f.i32(spec.rows);
      f.emit("ltU");
      f.when(() => {
        rowAddress(f, 0, row, spec.width, to);
        moveRow(f, 2, to, spec, true);
      });
    });
  };
  if (team > 1) firstOnly(f, all); // rows may meet in one place of the table
  else all();
  return f.finish();
}

/** The body of a row kernel, which a team of threads shares. */
export function rowsKernel(spec: RowsSpec, team: number = 1): number[] {
  return spec.kind === "gather" ? gatherKernel(spec, team) : scatterKernel(spec, team);
}
