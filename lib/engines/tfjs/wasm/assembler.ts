/**
 * A small WebAssembly assembler: functions as bytes, with the SIMD instructions that our kernels use, and the module
 * around them. Encodings are those of the WebAssembly 2.0 binary format.
 */

/** Value types. */
export type ValueType = "i32" | "f32" | "v128";

const valueTypes: { readonly [Type in ValueType]: number } = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

/** Instructions without immediates. */
export const op = {
  select: [0x1b],
  eqz: [0x45],
  ltS: [0x48],
  ltU: [0x49],
  gtS: [0x4a],
  add: [0x6a],
  sub: [0x6b],
  mul: [0x6c],
  divU: [0x6e],
  shrU: [0x76],
  f32Add: [0x92],
  f32Max: [0x97],
  i32x4Splat: [0xfd, 17],
  f32x4Splat: [0xfd, 19],
  i32x4Eq: [0xfd, 55],
  i32x4Ne: [0xfd, 56],
  i32x4LtS: [0xfd, 57],
  i32x4LtU: [0xfd, 58],
  i32x4GtS: [0xfd, 59],
  i32x4GtU: [0xfd, 60],
  i32x4LeS: [0xfd, 61],
  i32x4LeU: [0xfd, 62],
  i32x4GeS: [0xfd, 63],
  i32x4GeU: [0xfd, 64],
  f32x4Eq: [0xfd, 65],
  f32x4Ne: [0xfd, 66],
  f32x4Lt: [0xfd, 67],
  f32x4Gt: [0xfd, 68],
  f32x4Le: [0xfd, 69],
  f32x4Ge: [0xfd, 70],
  not: [0xfd, 77],
  and: [0xfd, 78],
  or: [0xfd, 80],
  xor: [0xfd, 81],
  bitselect: [0xfd, 82],
  floor: [0xfd, 104],
  nearest: [0xfd, 106],
  i32x4Abs: [0xfd, 0xa0, 1],
  i32x4Neg: [0xfd, 0xa1, 1],
  i32x4Shl: [0xfd, 0xab, 1],
  i32x4ShrS: [0xfd, 0xac, 1],
  i32x4ShrU: [0xfd, 0xad, 1],
  i32x4Add: [0xfd, 0xae, 1],
  i32x4Sub: [0xfd, 0xb1, 1],
  i32x4Mul: [0xfd, 0xb5, 1],
  i32x4MinS: [0xfd, 0xb6, 1],
  i32x4MinU: [0xfd, 0xb7, 1],
  i32x4MaxS: [0xfd, 0xb8, 1],
  i32x4MaxU: [0xfd, 0xb9, 1],
  f32x4Abs: [0xfd, 0xe0, 1],
  f32x4Neg: [0xfd, 0xe1, 1],
  f32x4Sqrt: [0xfd, 0xe3, 1],
  f32x4Add: [0xfd, 0xe4, 1],
  f32x4Sub: [0xfd, 0xe5, 1],
  f32x4Mul: [0xfd, 0xe6, 1],
  f32x4Div: [0xfd, 0xe7, 1],
  f32x4Min: [0xfd, 0xe8, 1],
  f32x4Max: [0xfd, 0xe9, 1],
  // b < a ? b : a and a < b ? b : a: one machine instruction each, and a NaN in a stays.
  f32x4Pmin: [0xfd, 0xea, 1],
  f32x4Pmax: [0xfd, 0xeb, 1],
  truncS: [0xfd, 0xf8, 1],
  truncU: [0xfd, 0xf9, 1],
  convertS: [0xfd, 0xfa, 1],
  convertU: [0xfd, 0xfb, 1],
} as const;

/** The name of such an instruction. */
export type OpName = keyof typeof op;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

/** A function under construction. Its parameters are i32 and are the first locals. */
export type FunctionBuilder = {
  readonly code: number[];
  /** A new local. */
  readonly local: (type: ValueType) => number;
  readonly emit: (...names: readonly OpName[]) => void;
  readonly get: (...locals: readonly number[]) => void;
  readonly set: (local: number) => void;
  readonly tee: (local: number) => void;
  readonly i32: (value: number) => void;
  /** Four equal floats. */
  readonly floats: (value: number) => void;
  /** Four equal integers, or four given ones. */
  readonly ints: (...values: readonly number[]) => void;
  /** Memory access: address on the stack, constant offset in bytes. */
  readonly memory: (name: MemoryName, offset?: number, lane?: number) => void;
  readonly lane: (name: "i32Extract" | "f32Extract" | "i32Replace" | "f32Replace", lane: number) => void;
  /** Takes 32-bit lanes of two vectors; 4 to 7 are those of the second. */
  readonly shuffle: (lanes: readonly number[]) => void;
  readonly call: (index: number) => void;
  /** The number of the thread that runs this, from 0, or the address of the team's words. */
  readonly global: (name: "thread" | "words") => void;
  /** Instructions that nothing else here writes. */
  readonly raw: (...bytes: readonly number[]) => void;
  /** Fills memory with zero bytes or copies it; operands are on the stack. */
  readonly bulk: (name: "fill" | "copy") => void;
  /** Repeats a body while `count` (a local, decremented by `step` each time) stays above 0; needs count > 0. */
  readonly repeat: (count: number, step: number, body: () => void) => void;
  readonly when: (body: () => void) => void;
  /** The bytes of the finished function. */
  readonly finish: () => number[];
};

const memoryOps = {
  i32Load: [0x28],
  f32Load: [0x2a],
  i32Store: [0x36],
  f32Store: [0x38],
  load: [0xfd, 0],
  loadSplat: [0xfd, 9],
  store: [0xfd, 11],
  loadLane: [0xfd, 86],
  storeLane: [0xfd, 90],
  loadZero: [0xfd, 92],
} as const;
type MemoryName = keyof typeof memoryOps;

const laneOps = { i32Extract: 27, i32Replace: 28, f32Extract: 31, f32Replace: 32 } as const;

/** Starts a function with some i32 parameters. */
export function functionBuilder(parameters: number): FunctionBuilder {
  const code: number[] = [];
  const locals: ValueType[] = [];
  const words = new DataView(new ArrayBuffer(4));
  const push = (bytes: readonly number[]): void => {
    for (const byte of bytes) code.push(byte);
  };
  const constant = (values: readonly number[]): void => {
    push([0xfd, 12]);
    for (const value of values) {
      words.setUint32(0, value >>> 0, true);
      for (let i = 0; i < 4; i++) code.push(words.getUint8(i));
    }
  };
  const get = (...indices: readonly number[]): void =>
    indices.forEach((index) => push([0x20, ...unsigned(index)]));
  const i32 = (value: number): void => push([0x41, ...signed(value)]);
  return {
    code,
    local: (type) => parameters + locals.push(type) - 1,
    emit: (...names) => names.forEach((name) => push(op[name])),
    get,
    set: (index) => push([0x21, ...unsigned(index)]),
    tee: (index) => push([0x22, ...unsigned(index)]),
    i32,
    floats: (value) => {
      words.setFloat32(0, value, true);
      const bits = words.getUint32(0, true);
      constant([bits, bits, bits, bits]);
    },
    ints: (...values) => constant(values.length === 1 ? new Array(4).fill(values[0]) : values),
    memory: (name, offset = 0, lane) => {
      // The alignment is a hint: 4 bytes hold everywhere.
      push([...memoryOps[name], 2, ...unsigned(offset)]);
      if (lane !== undefined) code.push(lane);
    },
    lane: (name, lane) => push([0xfd, laneOps[name], lane]),
    shuffle: (lanes) =>
      push([0xfd, 13, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))]),
    call: (index) => push([0x10, ...unsigned(index)]),
    global: (name) => push([0x23, name === "thread" ? 0 : 1]),
    raw: (...bytes) => push(bytes),
    bulk: (name) => push(name === "fill" ? [0xfc, 11, 0] : [0xfc, 10, 0, 0]),
    repeat: (count, step, body) => {
      push([0x03, 0x40]);
      body();
      get(count);
      i32(step);
      push([...op.sub, 0x22, ...unsigned(count)]);
      i32(0);
      push([...op.gtS, 0x0d, 0, 0x0b]);
    },
    when: (body) => {
      push([0x04, 0x40]);
      body();
      code.push(0x0b);
    },
    finish: () => {
      const groups = locals.map((type) => [1, valueTypes[type]]);
      const body = [...unsigned(groups.length), ...groups.flat(), ...code, 0x0b];
      return unsigned(body.length).concat(body);
    },
  };
}

const section = (id: number, entries: readonly (readonly number[])[]): number[] => {
  const body = unsigned(entries.length);
  for (const entry of entries) for (const byte of entry) body.push(byte);
  return [id, ...unsigned(body.length)].concat(body);
};
const text = (value: string): number[] => [...unsigned(value.length), ...new TextEncoder().encode(value)];

/** Index of the imported power function; defined functions follow it. */
export const powerIndex = 0;

/** Pages of the memory of a team, at most: 4 GB. */
export const mostPages = 65536;

/**
 * The bytes of a module that imports `e.m` (memory) and `e.p` (f32 power) and exports its last function as `run`. With
 * `shared` the memory is one of several threads, and `e.t` and `e.c` tell a thread its number and the team's words.
 *
 * @param functions Bodies with their numbers of i32 parameters.
 */
export function makeModule(
  functions: readonly { readonly parameters: number; readonly body: readonly number[] }[],
  shared: boolean = false,
): Uint8Array {
  const arities = [...new Set(functions.map(({ parameters }) => parameters))];
  const types = [
    [0x60, 2, 0x7d, 0x7d, 1, 0x7d],
    ...arities.map((count) => [0x60, ...unsigned(count), ...new Array<number>(count).fill(0x7f), 0]),
  ];
  const bytes = [
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, types),
    ...section(2, [
      [...text("e"), ...text("p"), 0, 0],
      [...text("e"), ...text("m"), 2, ...(shared ? [3, 1, ...unsigned(mostPages)] : [0, 1])],
      ...(shared ? ["t", "c"].map((name) => [...text("e"), ...text(name), 3, 0x7f, 0]) : []),
    ]),
    ...section(3, functions.map(({ parameters }) => unsigned(1 + arities.indexOf(parameters)))),
    ...section(7, [[...text("run"), 0, ...unsigned(functions.length)]]),
  ];
  // Bodies can be long: they are not spread into a call's arguments.
  return Uint8Array.from(bytes.concat(section(10, functions.map(({ body }) => body))));
}
