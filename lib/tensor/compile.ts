/**
 * Programs: a function of tensors is traced once, cleared of repeats and handed to an engine. Values stay on the device between
 * runs; a donated argument's memory may be reused by the results.
 */
import { checkValues } from "./checks.ts";
import { checkLength, type DeviceArray, wrap } from "./device_array.ts";
import { describe, parameter, sameShape, topological } from "./graph.ts";
import { type Groups, leaves, mapLeaves, type Named, type Regroup } from "./groups.ts";
import { engineInUse } from "./interactive.ts";
import { mergeEqual, unroll, withoutAllReduce } from "./rebuild.ts";
import type { Buffer, Engine, Graph, HostArray, MemoryNeed, Tensor, TensorType } from "./types.ts";

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

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "op" in value && "inputs" in value;
const isType = (value: unknown): value is TensorType =>
  typeof value === "object" && value !== null && Array.isArray((value as { shape?: unknown }).shape);
const isValue = (value: unknown): value is DeviceArray | HostArray =>
  ArrayBuffer.isView(value) || (typeof value === "object" && value !== null && "take" in value);

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

/** Calls the function once with parameters in place of the types, those that `typeOf` gives for them. */
function traceNamed<Specs extends Groups<TensorType>, Out extends Groups<Tensor>>(
  fn: (args: Regroup<Specs, TensorType, Tensor>) => Out,
  specs: Specs,
  typeOf: (slot: Named<TensorType>) => TensorType = ({ leaf }) => leaf,
): { readonly slots: readonly Named<TensorType>[]; readonly traced: Graph; readonly out: Out } {
  const slots = leaves(specs, isType);
  const parameters = slots.map((slot, index) => parameter(index, typeOf(slot), slot.path));
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
  checkNames("donate", donate, specs);
  checkNames("split", split, specs);
  const isSplit = ({ group }: Named<TensorType>): boolean => devices > 1 && split.includes(group);
  const { slots, traced, out } = traceNamed(
    fn,
    specs,
    (slot) => isSplit(slot) ? partOf(slot.leaf, slot.path, devices) : slot.leaf,
  );
  const parts = slots.flatMap((slot, index) => isSplit(slot) ? [index] : []);
  const donated = slots.flatMap(({ group }, index) => donate.includes(group) ? [index] : []);
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
