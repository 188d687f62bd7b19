/**
 * Programs: a function of tensors is traced once, cleared of repeats and handed to an engine. Values stay on the device between
 * runs; a donated argument's memory may be reused by the results.
 */
import { checkDType, checkShape, checkValues, naturalDType } from "./checks.ts";
import { describe, parameter, sameShape, topological } from "./graph.ts";
import { engineInUse } from "./interactive.ts";
import { mergeEqual, unroll, withoutAllReduce } from "./rebuild.ts";
import type { Buffer, Engine, Graph, HostArray, MemoryNeed, Tensor, TensorType } from "./types.ts";

/**
 * A value on a device.
 *
 * @example
 * ```ts
 * import { deviceArray, referenceEngine } from "albert-guide";
 * import type { DeviceArray } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const value: DeviceArray = await deviceArray(Float32Array.of(1, 2), { engine: referenceEngine() });
 * assert.deepEqual(Array.from(await value.data()), [1, 2]);
 * value.dispose();
 * ```
 */
export type DeviceArray = {
  readonly kind: "device array";
  readonly dtype: TensorType["dtype"];
  readonly shape: TensorType["shape"];
  /** Copies the value to host memory. */
  readonly data: () => Promise<HostArray>;
  /** Frees it; harmless when repeated. */
  readonly dispose: () => void;
  /** For the library: the engine's buffer; throws when it was donated or disposed. */
  readonly take: (options: { readonly donate: boolean; readonly engine: Engine }) => Buffer;
};

/**
 * Named values and named groups of values: the arguments and results of a program.
 *
 * @example
 * ```ts
 * import type { Groups, TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const types: Groups<TensorType> = {
 *   step: { dtype: "int32", shape: [] },
 *   parameters: { kernel: { dtype: "float32", shape: [2, 2] } },
 * };
 * assert.deepEqual(Object.keys(types), ["step", "parameters"]);
 * ```
 */
export type Groups<Leaf> = { readonly [name: string]: Leaf | { readonly [name: string]: Leaf } };

/**
 * The same names with other values.
 *
 * @example
 * ```ts
 * import type { Regroup, TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * type Specs = { readonly x: TensorType; readonly weights: { readonly a: TensorType } };
 * const tensors: Regroup<Specs, TensorType, number> = { x: 1, weights: { a: 2 } };
 * assert.equal(tensors.weights.a, 2);
 * ```
 */
export type Regroup<Tree, From, To> = {
  readonly [Key in keyof Tree]: Tree[Key] extends From ? To : { readonly [Name in keyof Tree[Key]]: To };
};

/**
 * A compiled function: arguments on the host or on the device, results on the device.
 *
 * @example
 * ```ts
 * import { compile, mul, referenceEngine } from "albert-guide";
 * import type { Executable, Tensor, TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * type Specs = { readonly x: TensorType };
 * const types: Specs = { x: { dtype: "float32", shape: [1] } };
 * const double: Executable<Specs, { readonly y: Tensor }> = await compile(({ x }) => ({ y: mul(x, 2) }), types, {
 *   engine: referenceEngine(),
 * });
 * assert.equal(double.nodes, 3);
 * ```
 */
export type Executable<Specs, Out> = {
  /** Runs once; donated device arrays are dead afterwards. */
  readonly run: (
    args: Regroup<Specs, TensorType, DeviceArray | HostArray>,
  ) => Promise<Regroup<Out, Tensor, DeviceArray>>;
  /** How many nodes the program has, scans counted once. */
  readonly nodes: number;
  /** What it needs, where the engine knows before the first run. */
  readonly memory?: MemoryNeed;
  /** Frees the program. */
  readonly dispose: () => void;
};

type Named<Leaf> = {
  readonly path: string;
  readonly group: string;
  /** Its name in the group; undefined where the argument is a value itself. */
  readonly name?: string;
  readonly leaf: Leaf;
};

function leaves<Leaf>(tree: object, isLeaf: (value: unknown) => value is Leaf): Named<Leaf>[] {
  return Object.entries(tree).flatMap(([group, value]: [string, unknown]) => {
    if (isLeaf(value)) return [{ path: group, group, leaf: value }];
    if (typeof value !== "object" || value === null) {
      throw new TypeError(`Cannot read ${group}: it is no value and no group`);
    }
    return Object.entries(value).map(([name, leaf]: [string, unknown]) => {
      if (!isLeaf(leaf)) throw new TypeError(`Cannot read ${group}.${name}: it is no value`);
      return { path: `${group}.${name}`, group, name, leaf };
    });
  });
}

function mapLeaves<Leaf, To>(
  tree: object,
  isLeaf: (value: unknown) => value is Leaf,
  map: (leaf: Leaf) => To,
): object {
  const inner = (value: unknown): unknown =>
    isLeaf(value)
      ? map(value)
      : Object.fromEntries(Object.entries(value as object).map(([name, leaf]) => [name, map(leaf as Leaf)]));
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, inner(value)]));
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "op" in value && "inputs" in value;
const isType = (value: unknown): value is TensorType =>
  typeof value === "object" && value !== null && Array.isArray((value as { shape?: unknown }).shape);
const isValue = (value: unknown): value is DeviceArray | HostArray =>
  ArrayBuffer.isView(value) || (typeof value === "object" && value !== null && "take" in value);

function wrap(engine: Engine, buffer: Buffer): DeviceArray {
  let live: Buffer | undefined = buffer;
  let why = "disposed";
  const alive = (): Buffer => {
    if (live === undefined) throw new Error(`Cannot use ${describe(buffer)}: this device array was ${why}`);
    return live;
  };
  return {
    kind: "device array",
    dtype: buffer.dtype,
    shape: buffer.shape,
    data: () => engine.download(alive()),
    dispose: () => {
      if (live !== undefined) engine.release(live);
      live = undefined;
    },
    take: ({ donate, engine: user }) => {
      if (user !== engine) {
        throw new Error(
          `Cannot give ${describe(buffer)} to ${user.name}: it lives on ${engine.name}, copy it by data()`,
        );
      }
      const taken = alive();
      if (donate) {
        live = undefined;
        why = "donated to a program";
      }
      return taken;
    },
  };
}

/**
 * Copies host values to an engine's device.
 *
 * @param values Row-major values.
 * @param options `engine`: default the one in use; `dtype`, `shape`: default those of the array; `split`: give each device
 * its part of the first dimension, default the whole.
 * @returns The value on the device.
 * @throws {RangeError} When the number of values does not fit the shape, or an integer type does not hold one.
 * @throws {TypeError} When the array is of another kind than the type: integers for floats, 64-bit integers.
 * @example
 * ```ts
 * import { deviceArray, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ids = await deviceArray(Int32Array.of(1, 2), { engine: referenceEngine(), shape: [2, 1] });
 * assert.deepEqual(ids.shape, [2, 1]);
 * ```
 */
export async function deviceArray(
  values: HostArray,
  { engine, dtype, shape, split = false }: {
    readonly engine?: Engine;
    readonly dtype?: TensorType["dtype"];
    readonly shape?: TensorType["shape"];
    readonly split?: boolean;
  } = {},
): Promise<DeviceArray> {
  const used = engine ?? await engineInUse();
  const type: TensorType = { dtype: dtype ?? naturalDType(values), shape: shape ?? [values.length] };
  checkDType(type.dtype, "upload values as");
  checkShape(type, (words) => `upload values as ${words}`);
  checkValues(values, type.dtype, "upload values");
  checkLength(values, type, "upload values");
  return wrap(used, await used.upload(values, type, { split }));
}

function checkLength(values: HostArray, type: TensorType, action: string): void {
  const wanted = type.shape.reduce((product, size) => product * size, 1);
  if (values.length !== wanted) {
    throw new RangeError(
      `Cannot ${action}: ${describe(type)} needs ${wanted} values, ${values.length} are given`,
    );
  }
}

/**
 * A graph with names for what goes in and what comes out.
 *
 * @example
 * ```ts
 * import { exp, graphOf } from "albert-guide";
 * import type { NamedGraph } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const graph: NamedGraph = graphOf(({ x }) => ({ y: exp(x) }), { x: { dtype: "float32", shape: [2] } });
 * assert.deepEqual(graph.names, ["y"]);
 * ```
 */
export type NamedGraph = Graph & {
  /** The name of each output, `group.name` within a group. */
  readonly names: readonly string[];
};

/**
 * The graph that `compile` would give to an engine: the function traced once, equal nodes merged.
 *
 * @param fn Called once with tensors in place of `specs`; returns named tensors or groups of them.
 * @param specs The type of every argument, by name or group.
 * @returns The graph; its parameters carry the names of the arguments.
 * @throws {RangeError} When an operation inside refuses its shapes.
 * @example
 * ```ts
 * import { add, exp, graphOf, topological } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * // exp(x) is written twice and computed once
 * const graph = graphOf(({ x }) => ({ y: add(exp(x), exp(x)) }), { x: { dtype: "float32", shape: [2] } });
 * assert.deepEqual(topological(graph.outputs).map(({ op }) => op), ["parameter", "exp", "add"]);
 * ```
 */
export function graphOf<Specs extends Groups<TensorType>, Out extends Groups<Tensor>>(
  fn: (args: Regroup<Specs, TensorType, Tensor>) => Out,
  specs: Specs,
): NamedGraph {
  const { traced, out } = traceNamed(fn, specs);
  return { ...mergeEqual(traced), names: leaves(out, isTensor).map(({ path }) => path) };
}

/** Calls the function once with parameters in place of the types. */
function traceNamed<Specs extends Groups<TensorType>, Out extends Groups<Tensor>>(
  fn: (args: Regroup<Specs, TensorType, Tensor>) => Out,
  specs: Specs,
): { readonly slots: readonly Named<TensorType>[]; readonly traced: Graph; readonly out: Out } {
  const slots = leaves(specs, isType);
  const parameters = slots.map(({ leaf, path }, index) => parameter(index, leaf, path));
  let next = 0;
  const out = fn(
    mapLeaves(specs, isType, () => parameters[next++] as Tensor) as Regroup<Specs, TensorType, Tensor>,
  );
  return { slots, traced: { parameters, outputs: leaves(out, isTensor).map(({ leaf }) => leaf) }, out };
}

/**
 * Compiles a function of tensors for one set of shapes.
 *
 * @param fn Called once with tensors in place of `specs`; returns named tensors or groups of them.
 * @param specs The type of every argument, by name or group.
 * @param options `engine`: default the one in use; `donate`: arguments or groups whose device arrays the program may reuse;
 * `split`: arguments or groups of which each device of the engine gets its part of the first dimension. Results are those
 * of the first device; `allReduce` makes them the same on all.
 * @returns The executable.
 * @throws {RangeError} When an operation inside refuses its shapes.
 * @throws {TypeError} When `donate` or `split` names no argument.
 * @example
 * ```ts
 * import { compile, mul, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const double = await compile(({ x }) => ({ y: mul(x, 2) }), { x: { dtype: "float32", shape: [2] } }, {
 *   engine: referenceEngine(),
 * });
 * const { y } = await double.run({ x: Float32Array.of(1, 2) });
 * assert.deepEqual(Array.from(await y.data()), [2, 4]);
 * ```
 */
export async function compile<Specs extends Groups<TensorType>, Out extends Groups<Tensor>>(
  fn: (args: Regroup<Specs, TensorType, Tensor>) => Out,
  specs: Specs,
  { engine, donate = [], split = [] }: {
    readonly engine?: Engine;
    readonly donate?: readonly (keyof Specs & string)[];
    readonly split?: readonly (keyof Specs & string)[];
  } = {},
): Promise<Executable<Specs, Out>> {
  const used = engine ?? await engineInUse();
  const devices = used.devices().length;
  const slots = leaves(specs, isType);
  checkNames("donate", donate, specs);
  checkNames("split", split, specs);
  const parts = slots.flatMap(({ group }, index) => devices > 1 && split.includes(group) ? [index] : []);
  const parameters = slots.map(({ leaf, path }, index) =>
    parameter(index, parts.includes(index) ? partOf(leaf, path, devices) : leaf, path)
  );
  const donated = slots.flatMap(({ group }, index) => donate.includes(group) ? [index] : []);
  let next = 0;
  const out = fn(
    mapLeaves(specs, isType, () => parameters[next++] as Tensor) as Regroup<Specs, TensorType, Tensor>,
  );
  const traced = { parameters, outputs: leaves(out, isTensor).map(({ leaf }) => leaf) };
  const alone = devices > 1 ? traced : withoutAllReduce(traced);
  const graph = mergeEqual(used.loops ? alone : unroll(alone));
  const program = await used.compile(graph, { donate: donated, split: parts });
  const places = { donated: new Set(donated), split: new Set(parts) };
  const run = async (args: object): Promise<object> => {
    const { inputs, own } = await prepare(used, slots, args, places);
    const buffers = await program.run(inputs).finally(() => own.forEach((buffer) => used.release(buffer)));
    let index = 0;
    return mapLeaves(out, isTensor, () => wrap(used, buffers[index++] as Buffer));
  };
  return {
    run: run as Executable<Specs, Out>["run"],
    nodes: topological(graph.outputs).length,
    ...(program.memory === undefined ? {} : { memory: program.memory }),
    dispose: program.dispose,
  };
}

/** Refuses names in an option that no argument and no group has. */
function checkNames(option: string, names: readonly string[], specs: object): void {
  const unknown = names.filter((name) => !Object.hasOwn(specs, name));
  if (unknown.length === 0) return;
  throw new TypeError(
    `Cannot compile: ${option} names ${unknown.join(", ")}, the arguments are ${
      Object.keys(specs).join(", ")
    }`,
  );
}

/** The type of one device's part of an argument. */
function partOf({ dtype, shape: [rows, ...rest] }: TensorType, path: string, devices: number): TensorType {
  if (rows !== undefined && rows % devices === 0) return { dtype, shape: [rows / devices, ...rest] };
  throw new RangeError(
    `Cannot split ${path} over ${devices} devices: its first size is ${rows ?? "missing"}, ` +
      "it must be a multiple of their number",
  );
}

/** The arguments in the order of their slots; refuses missing and unknown ones by name. */
function inOrder(slots: readonly Named<TensorType>[], args: object): (DeviceArray | HostArray)[] {
  const tree = args as Readonly<Record<string, unknown>>;
  const found = slots.map(({ group, name }) => {
    const value = tree[group];
    return name === undefined ? value : (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  });
  let given = 0;
  for (const group in tree) {
    const value = tree[group];
    given += isValue(value) || typeof value !== "object" || value === null ? 1 : Object.keys(value).length;
  }
  if (given === slots.length && found.every(isValue)) return found;
  const paths = new Set(leaves(args, isValue).map(({ path }) => path));
  const expected = new Set(slots.map(({ path }) => path));
  const missing = [...expected].filter((path) => !paths.has(path));
  const unknown = [...paths].filter((path) => !expected.has(path));
  const first = (names: readonly string[]): string =>
    names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
  throw new TypeError(
    `Cannot run the program: its ${slots.length} arguments ` +
      [
        missing.length > 0 ? `lack ${first(missing)}` : "",
        unknown.length > 0 ? `have no place for ${first(unknown)}` : "",
      ].filter((part) => part !== "").join(" and "),
  );
}

/** Checks every argument against its slot and brings it to the device. */
async function prepare(
  engine: Engine,
  slots: readonly Named<TensorType>[],
  args: object,
  { donated, split }: { readonly donated: ReadonlySet<number>; readonly split: ReadonlySet<number> },
): Promise<{ readonly inputs: Buffer[]; readonly own: Buffer[] }> {
  const given = inOrder(slots, args);
  // All checks come before the first donation, so that a refused call leaves every argument alive.
  for (const [index, value] of given.entries()) {
    const { path, leaf: type } = slots[index] as Named<TensorType>;
    if (ArrayBuffer.isView(value)) {
      checkValues(value as HostArray, type.dtype, `run the program with ${path}`);
      checkLength(value as HostArray, type, `run the program with ${path}`);
    } else if (value.dtype !== type.dtype || !sameShape(value.shape, type.shape)) {
      throw new TypeError(
        `Cannot run the program: ${path} must be ${describe(type)}, it is ${describe(value)}`,
      );
    } else value.take({ donate: false, engine });
  }
  const inputs: Buffer[] = [];
  const own: Buffer[] = [];
  for (const [index, value] of given.entries()) {
    if (!ArrayBuffer.isView(value)) inputs.push(value.take({ donate: donated.has(index), engine }));
    else {
      const { leaf: type } = slots[index] as Named<TensorType>;
      const uploaded = await engine.upload(value as HostArray, type, { split: split.has(index) });
      inputs.push(uploaded);
      if (!donated.has(index)) own.push(uploaded);
    }
  }
  return { inputs, own };
}
