/**
 * Products of matrices: C[m, n] = Σ A[m, k] B[k, n] for any steps of A and B, repeated over batch loops. Eight columns of
 * B at a time are packed into scratch memory (transposed where needed), then blocks of four rows run over k with
 * 4 × 8 sums in registers, which is what a 128-bit machine with sixteen registers holds. A is never copied: its four
 * values are broadcast from wherever they are.
 */
import { functionBuilder } from "./assembler.ts";
import type { FunctionBuilder } from "./assembler.ts";
import { firstOnly, moveBy, ownShare, worthSharing } from "./share.ts";

/** Sizes and steps in elements; plain data, so equal products share their code. */
export type ProductSpec = {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Offsets and steps of A along m and k, of B along k and n, of C along m (its columns are neighbours). */
  readonly a: { readonly offset: number; readonly m: number; readonly k: number };
  readonly b: { readonly offset: number; readonly k: number; readonly n: number };
  readonly c: { readonly m: number };
  /** Outer loops: a size and the steps of A, B and C. */
  readonly batch: readonly {
    readonly size: number;
    readonly a: number;
    readonly b: number;
    readonly c: number;
  }[];
  /** Whether elements are integers. */
  readonly integer: boolean;
};

// With 4 rows all operands stay in registers; 3, 5 and 6 were measured to be 5 to 25 % slower.
const rows = 4;
const columns = 8;

/** Bytes of scratch memory that a product needs. */
export function scratchBytes({ k }: ProductSpec): number {
  return 4 * columns * k;
}

type Pointers = { readonly a: number; readonly b: number; readonly c: number; readonly scratch: number };

function move(f: FunctionBuilder, local: number, bytes: number): void {
  if (bytes === 0) return;
  f.get(local);
  f.i32(bytes);
  f.emit("add");
  f.set(local);
}

/** A loop over `count` with pointers that advance by bytes, and return to their start where `rewind` says so. */
function walk(
  f: FunctionBuilder,
  count: number,
  moves: readonly (readonly [local: number, bytes: number])[],
  body: () => void,
  rewind: boolean = true,
): void {
  if (count === 0) return;
  const advance = (): void => moves.forEach(([local, bytes]) => move(f, local, bytes));
  if (count === 1) {
    body();
    if (!rewind) advance();
    return;
  }
  const left = f.local("i32");
  f.i32(count);
  f.set(left);
  f.repeat(left, 1, () => {
    body();
    advance();
  });
  if (rewind) moves.forEach(([local, bytes]) => move(f, local, -bytes * count));
}

/** Packs `width` columns of B (of eight; the rest are zeros) as k rows of eight floats. */
function pack(f: FunctionBuilder, spec: ProductSpec, { b, scratch }: Pointers, width: number): void {
  const from = f.local("i32");
  const to = f.local("i32");
  f.get(b);
  f.set(from);
  f.get(scratch);
  f.set(to);
  const { k, b: { k: stepK, n: stepN, offset } } = spec;
  const place = (column: number, row: number): number => 4 * (offset + column * stepN + row * stepK);
  const oneRow = (): void => {
    for (const half of [0, 4]) {
      f.get(to);
      if (width - half >= 4 && stepN === 1) {
        f.get(from);
        f.memory("load", place(half, 0));
      } else {
        f.ints(0);
        const vector = f.local("v128");
        for (let lane = 0; lane < Math.min(4, width - half); lane++) {
          f.set(vector);
          f.get(from, vector);
          f.memory("loadLane", place(half + lane, 0), lane);
        }
      }
      f.memory("store", 4 * half);
    }
  };
  const fourRows = (): void => {
    const v = Array.from({ length: 4 }, () => f.local("v128"));
    const t = Array.from({ length: 4 }, () => f.local("v128"));
    for (const half of [0, 4]) {
      v.forEach((local, i) => {
        if (half + i < width) {
          f.get(from);
          f.memory("load", place(half + i, 0));
        } else f.ints(0);
        f.set(local);
      });
      const mixed = (left: number, right: number, lanes: readonly number[], out: number): void => {
        f.get(left, right);
        f.shuffle(lanes);
        f.set(out);
      };
      const [v0, v1, v2, v3] = v as [number, number, number, number];
      const [t0, t1, t2, t3] = t as [number, number, number, number];
      mixed(v0, v1, [0, 4, 1, 5], t0);
      mixed(v2, v3, [0, 4, 1, 5], t1);
      mixed(v0, v1, [2, 6, 3, 7], t2);
      mixed(v2, v3, [2, 6, 3, 7], t3);
      [[t0, t1, 0], [t0, t1, 1], [t2, t3, 0], [t2, t3, 1]].forEach(([left, right, high], row) => {
        f.get(to, left as number, right as number);
        f.shuffle(high === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7]);
        f.memory("store", 4 * (columns * row + half));
      });
    }
  };
  const blocks = stepK === 1 ? Math.floor(k / 4) : 0;
  walk(f, blocks, [[from, 16], [to, 16 * columns]], fourRows, false);
  walk(f, k - 4 * blocks, [[from, 4 * stepK], [to, 4 * columns]], oneRow, false);
}

type Source = { readonly pointer: number; readonly offset: number; readonly step: number };

/** `height` rows of C: sums in registers over all of k, then stored. */
function block(
  f: FunctionBuilder,
  spec: ProductSpec,
  { a, c }: Pick<Pointers, "a" | "c">,
  source: Source,
  height: number,
  width: number,
): void {
  const { k, a: { offset, m: stepM, k: stepK }, integer } = spec;
  const halves = width > 4 ? 2 : 1;
  const sums = Array.from({ length: height * halves }, () => f.local("v128"));
  const [pa, pb, left] = [f.local("i32"), f.local("i32"), f.local("i32")];
  const [b0, b1, x] = [f.local("v128"), f.local("v128"), f.local("v128")];
  sums.forEach((sum) => {
    f.ints(0);
    f.set(sum);
  });
  f.get(a);
  f.set(pa);
  f.get(source.pointer);
  f.set(pb);
  const once = (u: number): void => {
    [b0, b1].slice(0, halves).forEach((b, half) => {
      f.get(pb);
      f.memory("load", 4 * (source.offset + u * source.step + 4 * half));
      f.set(b);
    });
    for (let row = 0; row < height; row++) {
      f.get(pa);
      f.memory("loadSplat", 4 * (offset + row * stepM + u * stepK));
      f.set(x);
      [b0, b1].slice(0, halves).forEach((b, half) => {
        const sum = sums[row * halves + half] as number;
        // No fused multiply-add (relaxed SIMD): it would give other bits on another machine or runtime.
        f.get(sum, x, b);
        f.emit(integer ? "i32x4Mul" : "f32x4Mul", integer ? "i32x4Add" : "f32x4Add");
        f.set(sum);
      });
    }
  };
  const unroll = k >= 8 ? 4 : 1;
  const whole = Math.floor(k / unroll);
  if (whole > 0) {
    f.i32(whole);
    f.set(left);
    f.repeat(left, 1, () => {
      for (let u = 0; u < unroll; u++) once(u);
      move(f, pa, 4 * unroll * stepK);
      move(f, pb, 4 * unroll * source.step);
    });
  }
  for (let u = 0; u < k - whole * unroll; u++) once(u);
  for (let row = 0; row < height; row++) {
    for (let half = 0; half < halves; half++) {
      const sum = sums[row * halves + half] as number;
      const at = 4 * (row * spec.c.m + 4 * half);
      const lanes = Math.min(4, width - 4 * half);
      if (lanes === 4) {
        f.get(c, sum);
        f.memory("store", at);
      } else {
        for (let lane = 0; lane < lanes; lane++) {
          f.get(c, sum);
          f.memory("storeLane", at + 4 * lane, lane);
        }
      }
    }
  }
}

/** Up to eight columns of C, all rows. */
function panel(f: FunctionBuilder, spec: ProductSpec, pointers: Pointers, width: number): void {
  const { m, k, a, b, c } = spec;
  // B is read where it is when few rows use it or when it surely stays in the first cache.
  const direct = b.n === 1 && width === columns && (m <= rows || (k <= 64 && b.k <= 64));
  if (!direct) pack(f, spec, pointers, width);
  const source: Source = direct
    ? { pointer: pointers.b, offset: b.offset, step: b.k }
    : { pointer: pointers.scratch, offset: 0, step: columns };
  const [pa, pc] = [f.local("i32"), f.local("i32")];
  f.get(pointers.a);
  f.set(pa);
  f.get(pointers.c);
  f.set(pc);
  const blocks = Math.floor(m / rows);
  const moves: [number, number][] = [[pa, 4 * rows * a.m], [pc, 4 * rows * c.m]];
  walk(f, blocks, moves, () => block(f, spec, { a: pa, c: pc }, source, rows, width), false);
  const rest = m - rows * blocks;
  if (rest > 0) block(f, spec, { a: pa, c: pc }, source, rest, width);
}

/** What the threads of a team share: the outermost batch, else columns; what is too small is for the first. */
function sharing({ m, n, k, batch }: ProductSpec, team: number): "batch" | "columns" | "first" | "none" {
  if (team === 1) return "none";
  const work = batch.reduce((product, { size }) => product * size, m * n * k);
  if (work < 8 * worthSharing) return "first";
  if ((batch[0]?.size ?? 0) >= 2 * team) return "batch";
  return Math.floor(n / columns) >= 2 * team ? "columns" : "first";
}

/** A walk over this thread's part. */
function walkShare(
  f: FunctionBuilder,
  count: number,
  team: number,
  moves: readonly (readonly [local: number, bytes: number])[],
  body: () => void,
): void {
  const { from, share } = ownShare(f, count, team);
  moves.forEach(([local, bytes]) => moveBy(f, local, from, bytes));
  f.get(share);
  f.when(() =>
    f.repeat(share, 1, () => {
      body();
      moves.forEach(([local, bytes]) => move(f, local, bytes));
    })
  );
}

/**
 * The body of a product kernel; parameters: pointers to A, B, C and scratch memory.
 *
 * @param team Threads that share it.
 * @param scratchStep Bytes of scratch memory of each.
 */
export function productKernel(spec: ProductSpec, team: number = 1, scratchStep: number = 0): number[] {
  const f = functionBuilder(4);
  const [a, b, c, scratch] = [0, 1, 2, 3];
  const shared = sharing(spec, team);
  if (team > 1) {
    const thread = f.local("i32");
    f.global("thread");
    f.set(thread);
    moveBy(f, scratch, thread, scratchStep);
  }
  const level = (axis: number): void => {
    const outer = spec.batch[axis];
    if (outer !== undefined) {
      if (shared === "batch" && axis === 0) {
        const moves = [[a, 4 * outer.a], [b, 4 * outer.b], [c, 4 * outer.c]] as const;
        walkShare(f, outer.size, team, moves, () => level(1));
        return;
      }
      walk(f, outer.size, [[a, 4 * outer.a], [b, 4 * outer.b], [c, 4 * outer.c]], () => level(axis + 1));
      return;
    }
    const [pb, pc] = [f.local("i32"), f.local("i32")];
    f.get(b);
    f.set(pb);
    f.get(c);
    f.set(pc);
    const panels = Math.floor(spec.n / columns);
    const pointers: Pointers = { a, b: pb, c: pc, scratch };
    const moves = [[pb, 4 * columns * spec.b.n], [pc, 4 * columns]] as const;
    const rest = spec.n - columns * panels;
    if (shared === "columns") {
      walkShare(f, panels, team, moves, () => panel(f, spec, pointers, columns));
      if (rest === 0) return;
      // The last thread stands behind the last whole panel now.
      f.global("thread");
      f.i32(team - 1);
      f.emit("sub", "eqz");
      f.when(() => panel(f, spec, pointers, rest));
      return;
    }
    walk(f, panels, moves, () => panel(f, spec, pointers, columns), false);
    if (rest > 0) panel(f, spec, pointers, rest);
  };
  if (spec.m > 0 && spec.n > 0) {
    if (shared === "first") firstOnly(f, () => level(0));
    else level(0);
  }
  return f.finish();
}
