/**
 * The vocabulary of the graph: element types, shapes, the list of primitive operations with their attributes, the
 * nodes, and the interface that an engine fulfils. A new primitive adds one line to `OperationAttributes`; the
 * compiler then names every table that lacks it.
 */

/**
 * Element types. `bfloat16` exists on engines whose device has it; `bool` holds 0 or 1.
 *
 * @example
 * ```ts
 * import { constant } from "albert-guide";
 * import type { DType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const dtype: DType = "int32";
 * assert.equal(constant([1, 2], { dtype }).dtype, "int32");
 * ```
 */
export type DType = "float32" | "bfloat16" | "int32" | "uint32" | "bool";

/**
 * Sizes per dimension, outermost first; `[]` is a scalar.
 *
 * @example
 * ```ts
 * import { zeros } from "albert-guide";
 * import type { Shape } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const shape: Shape = [2, 3];
 * assert.deepEqual(zeros(shape).shape, [2, 3]);
 * ```
 */
export type Shape = readonly number[];

/**
 * What is known of a tensor before any value exists: its element type and shape.
 *
 * @example
 * ```ts
 * import type { TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids: TensorType = { dtype: "int32", shape: [8, 64] };
 * assert.equal(ids.shape.length, 2);
 * ```
 */
export type TensorType = { readonly dtype: DType; readonly shape: Shape };

/**
 * Host memory of a tensor: float32 and bfloat16 as Float32Array (Float64Array from the reference engine), integers as
 * their own array, bool as Uint8Array.
 *
 * @example
 * ```ts
 * import type { HostArray } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const values: HostArray = Float32Array.of(1, 2);
 * assert.equal(values.length, 2);
 * ```
 */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

type None = Readonly<Record<never, never>>;

/**
 * Dimensions of the two operands of a dot product, by role; the rest are free.
 *
 * @example
 * ```ts
 * import { dot, zeros } from "albert-guide";
 * import type { DotDims } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const dims: DotDims = { batch: [[0], [0]], contract: [[2], [2]] };
 * assert.deepEqual(dot(zeros([8, 3, 4]), zeros([8, 5, 4]), dims).shape, [8, 3, 5]);
 * ```
 */
export type DotDims = {
  /** Pairs of batch dimensions: `batch[0]` of the left operand, `batch[1]` of the right one. */
  readonly batch: readonly [readonly number[], readonly number[]];
  /** Pairs of dimensions summed over. */
  readonly contract: readonly [readonly number[], readonly number[]];
};

/**
 * A comparison, as in `compare`.
 *
 * @example
 * ```ts
 * import { compare, constant } from "albert-guide";
 * import type { Comparison } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const direction: Comparison = "ge";
 * assert.deepEqual(Array.from(await compare(constant([1, 2]), direction, 2).data()), [0, 1]);
 * ```
 */
export type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/**
 * Every primitive operation with its attributes. Shape and gradient rules stand beside the functions that make them.
 *
 * @example
 * ```ts
 * import type { OperationAttributes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const attributes: OperationAttributes["transpose"] = { permutation: [1, 0] };
 * assert.deepEqual(attributes.permutation, [1, 0]);
 * ```
 */
export type OperationAttributes = {
  // Leaves.
  parameter: { readonly index: number; readonly name: string };
  constant: { readonly value: number | HostArray };
  iota: { readonly axis: number };
  // Elementwise, one operand.
  neg: None;
  exp: None;
  log: None;
  tanh: None;
  erf: None;
  sqrt: None;
  rsqrt: None;
  abs: None;
  sign: None;
  floor: None;
  not: None;
  // Elementwise, two operands of equal type.
  add: None;
  sub: None;
  mul: None;
  div: None;
  max: None;
  min: None;
  pow: None;
  and: None;
  or: None;
  xor: None;
  shift_right_logical: None;
  compare: { readonly direction: Comparison };
  select: None;
  cast: None;
  // Layout.
  reshape: None;
  transpose: { readonly permutation: readonly number[] };
  broadcast: { readonly dims: readonly number[] };
  slice: { readonly start: readonly number[]; readonly limit: readonly number[] };
  pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number };
  concat: { readonly axis: number };
  // Sums, products, rows.
  dot: DotDims;
  reduce_sum: { readonly axes: readonly number[] };
  reduce_max: { readonly axes: readonly number[] };
  gather: None;
  scatter_add: { readonly rows: number };
  // Randomness, control, replicas.
  random_bits: { readonly split: boolean };
  stop_gradient: None;
  barrier: None;
  all_reduce: None;
  scan: ScanAttributes;
  result: { readonly index: number };
};

/**
 * What a `scan` node repeats; its inputs are the carries, the sliced inputs and the captured values, in that order.
 *
 * @example
 * ```ts
 * import { constant, scan, topological } from "albert-guide";
 * import type { ScanAttributes } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { carries } = scan((carries) => ({ carries }), { carries: [constant(7)], length: 2 });
 * const found = topological(carries).find(({ op }) => op === "scan");
 * const { length, reverse } = found?.attributes as ScanAttributes;
 * assert.deepEqual([length, reverse], [2, false]);
 * ```
 */
export type ScanAttributes = {
  /** Parameters: carries, one slice of each sliced input, captures. Outputs: next carries, then one slice of each stacked output. */
  readonly body: Graph;
  /** Iterations. */
  readonly length: number;
  /** How many of the inputs and outputs are carries. */
  readonly carries: number;
  /** How many inputs are sliced along their first axis. */
  readonly sliced: number;
  /** Whether the last slice comes first; stacked outputs keep the place of their slice. */
  readonly reverse: boolean;
  /** The gradient of the body, made with it, so that forward and backward loops share what they store. */
  readonly backward: ScanBackward | undefined;
};

/**
 * The backward loop of a scan's body.
 *
 * @example
 * ```ts
 * import { constant, mul, scan, topological } from "albert-guide";
 * import type { ScanBackward } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { carries } = scan(([x]) => ({ carries: [mul(x!, x!)] }), { carries: [constant(7)], length: 2 }); // ! one carry
 * const found = topological(carries).find(({ op }) => op === "scan");
 * const { backward } = found?.attributes as { readonly backward: ScanBackward };
 * assert.equal(backward.stored.length, 1); // the carry, by which x × x is differentiated
 * ```
 */
export type ScanBackward = {
  /**
   * Parameters: cotangents of the carries, cotangents of the visible stacked outputs, then the stored values.
   * Outputs: cotangents of the carries, of the slices, of the captures.
   */
  readonly graph: Graph;
  /** Where the stored values come from: a stacked output of the forward loop, a sliced input, or a captured one. */
  readonly stored: readonly { readonly kind: "output" | "sliced" | "capture"; readonly index: number }[];
  /** How many stacked outputs the caller asked for; those after them are stored values. */
  readonly visible: number;
  /** Which inputs of the body have a cotangent (floating ones). */
  readonly differentiable: readonly boolean[];
};

/**
 * The name of a primitive operation.
 *
 * @example
 * ```ts
 * import type { OperationName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: OperationName = "reduce_sum";
 * assert.equal(name, "reduce_sum");
 * ```
 */
export type OperationName = keyof OperationAttributes;

/**
 * A node of the graph: an operation, its inputs and the type of its value. Nothing has been computed yet; `data()`
 * computes just what this value needs.
 *
 * @example
 * ```ts
 * import { add, constant } from "albert-guide";
 * import type { Tensor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const sum: Tensor = add(constant([1, 2]), 10);
 * assert.equal(sum.op, "add");
 * assert.deepEqual(Array.from(await sum.data()), [11, 12]);
 * ```
 */
export type Tensor = {
  readonly [Name in OperationName]: TensorOf<Name>;
}[OperationName];

/**
 * A node made by one given operation.
 *
 * @example
 * ```ts
 * import { transpose, zeros } from "albert-guide";
 * import type { TensorOf } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const moved = transpose(zeros([2, 3])) as TensorOf<"transpose">;
 * assert.deepEqual(moved.attributes.permutation, [1, 0]);
 * ```
 */
export type TensorOf<Name extends OperationName> = {
  readonly op: Name;
  readonly inputs: readonly Tensor[];
  readonly attributes: OperationAttributes[Name];
  readonly dtype: DType;
  readonly shape: Shape;
  /** Computes the value on the engine in use and copies it to host memory. */
  readonly data: () => Promise<HostArray>;
};

/**
 * A closed program: outputs that depend on nothing but constants and the parameters.
 *
 * @example
 * ```ts
 * import { trace } from "albert-guide";
 * import type { Graph } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph: Graph = trace((x) => [x], [{ dtype: "float32", shape: [2] }]);
 * assert.equal(graph.parameters.length, 1);
 * ```
 */
export type Graph = {
  readonly parameters: readonly TensorOf<"parameter">[];
  readonly outputs: readonly Tensor[];
};

/**
 * A value on an engine's device. Only its engine knows what is inside.
 *
 * @example
 * ```ts
 * import { referenceEngine } from "albert-guide";
 * import type { Buffer } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const type = { dtype: "float32", shape: [2] } as const;
 * const buffer: Buffer = await referenceEngine().upload(Float32Array.of(1, 2), type);
 * assert.deepEqual(buffer.shape, [2]);
 * ```
 */
export type Buffer = { readonly dtype: DType; readonly shape: Shape };

/**
 * A graph made ready by an engine.
 *
 * @example
 * ```ts
 * import { exp, referenceEngine, trace } from "albert-guide";
 * import type { Program } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph = trace((x) => [exp(x)], [{ dtype: "float32", shape: [] }]);
 * const engine = referenceEngine();
 * const program: Program = await engine.compile(graph, { donate: [] });
 * const [y] = await program.run([await engine.upload(Float32Array.of(0), { dtype: "float32", shape: [] })]);
 * assert.deepEqual(Array.from(await engine.download(y!)), [1]); // ! one output
 * ```
 */
export type Program = {
  /**
   * Runs once. Inputs are given in the order of the graph's parameters; donated ones are dead afterwards.
   */
  readonly run: (inputs: readonly Buffer[]) => Promise<readonly Buffer[]>;
  /** What it needs, where the engine knows before the first run. */
  readonly memory?: MemoryNeed;
  /** Frees what the program holds. */
  readonly dispose: () => void;
};

/**
 * Memory of a program, bytes, estimated before its first run.
 *
 * @example
 * ```ts
 * import type { MemoryNeed } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const fits = ({ peak, process, free }: MemoryNeed): boolean => peak - process <= free;
 * assert.equal(typeof fits, "function");
 * ```
 */
export type MemoryNeed = {
  /** Of the whole process while the program runs. */
  readonly peak: number;
  /** Of the process without any values: the engine itself, what compiling left, what a run packs. */
  readonly process: number;
  /** Values that are given to the program. */
  readonly arguments: number;
  /** Values that come and go during a run: activations and gradients. */
  readonly temporary: number;
  /** Results that do not take the place of arguments. */
  readonly outputs: number;
  /** Free on the machine when the program was compiled. */
  readonly free: number;
};

/**
 * A device as an engine sees it.
 *
 * @example
 * ```ts
 * import { openEngine } from "albert-guide";
 * import type { Device } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [device]: readonly Device[] = (await openEngine("tfjs-wasm")).devices();
 * assert.equal(device?.kind, "cpu");
 * ```
 */
export type Device = { readonly name: string; readonly kind: "cpu" | "gpu" | "tpu" };

/**
 * What runs a graph. An engine needs nothing from the rest of the library but this file's types.
 *
 * @example
 * ```ts
 * import { referenceEngine } from "albert-guide";
 * import type { Engine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const engine: Engine = referenceEngine();
 * assert.equal(engine.name, "reference");
 * ```
 */
export type Engine = {
  /** The engine and its backend: `reference`, `tfjs-wasm`. */
  readonly name: string;
  /** True if `scan` nodes may reach `compile`; otherwise they arrive unrolled. */
  readonly loops: boolean;
  /** The devices that every program runs on: replicas of one another, but for the arguments that are split. */
  readonly devices: () => readonly Device[];
  /**
   * Makes a program; `donate` lists the parameters whose buffers it may reuse, `split` those of which each device has its
   * part: the graph is that of one device.
   */
  readonly compile: (
    graph: Graph,
    options: { readonly donate: readonly number[]; readonly split?: readonly number[] },
  ) => Promise<Program>;
  /** Copies host values to the devices: to each the whole, or with `split` its part of the first dimension. */
  readonly upload: (
    values: HostArray,
    type: TensorType,
    options?: { readonly split?: boolean },
  ) => Promise<Buffer>;
  /** Copies a value to host memory: from the first device, or the parts of all. */
  readonly download: (buffer: Buffer) => Promise<HostArray>;
  /** Gives a value's memory back. */
  readonly release: (buffer: Buffer) => void;
  /** Frees everything. */
  readonly dispose: () => Promise<void>;
};
