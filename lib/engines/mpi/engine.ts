/**
 * An engine over several processes: each runs its part of every program on an engine of its own, and where the graph sums
 * over replicas the values are added up by MPI. To the rest of the library it is an engine of as many devices as there are
 * processes; all of them make the same calls in the same order.
 */
import { cutAtSums, type CutStage, type CutValue, ownReplica, sizeOf } from "../../tensor/mod.ts";
import type { Buffer, Engine, Graph, HostArray, MemoryNeed, Program, TensorType } from "../../tensor/mod.ts";
import type { Communicator } from "./communicator.ts";

/**
 * What processes tell each other beside the sums.
 *
 * @example
 * ```ts
 * import type { MpiSignals } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const signals: MpiSignals = { wantsStop: () => false };
 * assert.equal(signals.wantsStop?.(), false);
 * ```
 */
export type MpiSignals = {
  /** Whether this process was asked to stop. */
  readonly wantsStop?: () => boolean;
  /** Called in every process at the same sum, when one of them was. */
  readonly onStop?: () => void;
  /** Called with the milliseconds that every process has computed since the sum before. */
  readonly onTimes?: (milliseconds: readonly number[]) => void;
};

/** Sums over all processes, with what they tell each other behind the values. */
function summing(world: Communicator, { wantsStop, onStop, onTimes }: MpiSignals) {
  let last = performance.now();
  return (values: readonly HostArray[]): Float32Array[] => {
    const own = values.reduce((sum, { length }) => sum + length, 0);
    const all = new Float32Array(own + 1 + world.size);
    let at = 0;
    for (const value of values) {
      all.set(value, at);
      at += value.length;
    }
    all[own] = wantsStop?.() === true ? 1 : 0;
    all[own + 1 + world.rank] = performance.now() - last;
    world.sum(all);
    last = performance.now();
    if ((all[own] ?? 0) > 0) onStop?.();
    onTimes?.([...all.subarray(own + 1)]);
    let from = 0;
    return values.map(({ length }) => all.slice(from, from += length));
  };
}

/**
 * An engine over the processes of a job.
 *
 * @param inner The engine of this process, of one device.
 * @param world The processes.
 * @param signals What they tell each other.
 * @returns An engine with a device for each process.
 * @throws {RangeError} When the inner engine has several devices.
 * @example
 * ```ts
 * import { allReduce, alone, compile, mpiEngine, referenceEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const two = { ...alone(), size: 2, sum: (values: Float32Array | Float64Array) => values.forEach((x, i) => values[i] = 2 * x) };
 * const engine = mpiEngine(referenceEngine(), two); // two processes with equal values
 * const program = await compile(({ x }) => ({ y: allReduce(x) }), { x: { dtype: "float32", shape: [1] } }, { engine });
 * const { y } = await program.run({ x: Float32Array.of(3) });
 * assert.deepEqual([...await y.data()], [6]);
 * ```
 */
export function mpiEngine(inner: Engine, world: Communicator, signals: MpiSignals = {}): Engine {
  const [device, ...more] = inner.devices();
  if (device === undefined || more.length > 0) {
    throw new RangeError(
      `Cannot work over ${world.size} processes: each needs one device, ${inner.name} has ${
        1 + more.length
      }; give --devices=1`,
    );
  }
  const sums = summing(world, signals);
  const parts = new WeakSet<Buffer>(); // values of which each process has its rows
  return {
    ...inner,
    name: `${inner.name}-mpi`,
    devices: () => Array.from({ length: world.size }, () => device),
    compile: (graph, options) => compileCut(inner, sums, ownReplica(graph, world.rank, world.size), options),
    upload: async (values, type, { split = false } = {}) => {
      if (!split) return await inner.upload(values, type);
      const buffer = await inner.upload(...ownRows(values, type, world));
      parts.add(buffer);
      return buffer;
    },
    download: async (buffer) => {
      if (!parts.has(buffer)) return await inner.download(buffer);
      throw new TypeError("Cannot download a value of which each process has its part");
    },
  };
}

/** The rows of this process. */
function ownRows(values: HostArray, type: TensorType, world: Communicator): [HostArray, TensorType] {
  const [rows = 0, ...rest] = type.shape;
  const own = rows / world.size;
  if (!Number.isInteger(own)) {
    throw new RangeError(
      `Cannot split ${rows} rows over ${world.size} processes: their number must divide them`,
    );
  }
  const row = sizeOf(rest);
  const from = world.rank * own * row;
  return [values.slice(from, from + own * row), { ...type, shape: [own, ...rest] }];
}

type Compiled = CutStage & { readonly program: Program | undefined; readonly donated: readonly number[] };

async function compileCut(
  inner: Engine,
  sums: (values: readonly HostArray[]) => Float32Array[],
  graph: Graph,
  { donate }: { readonly donate: readonly number[] },
): Promise<Program> {
  const cut = cutAtSums(graph);
  const keyOf = ({ kind, index }: CutValue): string =>
    `${kind === "parameter" ? "parameter" : "value"} ${index}`;
  const kept = new Set(cut.outputs.map(keyOf));
  const given = new Set(donate);
  /** The stage after which a value is not used any more. */
  const ends = new Map<string, number>();
  cut.stages.forEach(({ inputs, sums: before }, stage) => {
    for (const { of } of before) ends.set(keyOf(of), stage);
    for (const input of inputs) ends.set(keyOf(input), stage);
  });
  const mayGo = (value: CutValue): boolean =>
    !kept.has(keyOf(value)) && (value.kind !== "parameter" || given.has(value.index));
  const stages: Compiled[] = [];
  for (const [at, stage] of cut.stages.entries()) {
    const donated = stage.inputs.flatMap((value, i) =>
      mayGo(value) && ends.get(keyOf(value)) === at ? [i] : []
    );
    const program = stage.made.length === 0
      ? undefined
      : await inner.compile(stage.graph, { donate: donated });
    stages.push({ ...stage, program, donated });
  }
  const run = async (inputs: readonly Buffer[]): Promise<readonly Buffer[]> => {
    const values = new Map<string, Buffer>(
      inputs.map((buffer, index) => [keyOf({ kind: "parameter", index }), buffer]),
    );
    const valueOf = (value: CutValue): Buffer => values.get(keyOf(value)) as Buffer;
    const drop = (value: CutValue): void => {
      inner.release(valueOf(value));
      values.delete(keyOf(value));
    };
    for (const [at, { sums: before, inputs: taken, made, program, donated }] of stages.entries()) {
      if (before.length > 0) {
        const summed = sums(await Promise.all(before.map(({ of }) => inner.download(valueOf(of)))));
        for (const [i, { of, sum, type }] of before.entries()) {
          if (of.kind !== "parameter" && mayGo(of) && ends.get(keyOf(of)) === at && values.has(keyOf(of))) {
            drop(of);
          }
          values.set(
            keyOf({ kind: "summed", index: sum }),
            await inner.upload(summed[i] as Float32Array, type),
          );
        }
      }
      if (program === undefined) continue;
      const results = await program.run(taken.map(valueOf));
      donated.forEach((i) => values.delete(keyOf(taken[i] as CutValue)));
      made.forEach((index, i) => values.set(keyOf({ kind: "made", index }), results[i] as Buffer));
    }
    const outputs = cut.outputs.map(valueOf);
    // What was given up and no stage has taken.
    for (const index of donate) {
      const value = { kind: "parameter", index } as const;
      if (values.has(keyOf(value)) && !kept.has(keyOf(value))) drop(value);
    }
    return outputs;
  };
  const memory = memoryOf(stages);
  return {
    run,
    ...(memory === undefined ? {} : { memory }),
    dispose: () => stages.forEach(({ program }) => program?.dispose()),
  };
}

/** What the stage needs that needs most. */
function memoryOf(stages: readonly Compiled[]): MemoryNeed | undefined {
  const needs = stages.flatMap(({ program }) => program?.memory === undefined ? [] : [program.memory]);
  return [...needs].sort((a, b) => b.peak - a.peak)[0];
}
