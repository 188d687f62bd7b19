/**
 * `await tensor.data()`: compiles and runs just what one value needs. Programs are kept by structure, so a cell that is
 * executed again with other constants compiles nothing.
 */
import { liftConstants, mergeEqual, unroll } from "./rebuild.ts";
import type { Engine, HostArray, Program, Tensor } from "./types.ts";

const keptPrograms = 64;
let current: Engine | undefined;
const programs = new Map<Engine, Map<string, Program>>();

/**
 * Chooses the engine of `tensor.data()`; without it the first use takes tfjs on its wasm backend.
 *
 * @param engine The engine, or undefined to return to the default.
 * @example
 * ```ts
 * import { constant, exp, referenceEngine, useEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * useEngine(referenceEngine());
 * assert.equal((await exp(constant(1)).data())[0], Math.E);
 * useEngine(undefined);
 * ```
 */
export function useEngine(engine: Engine | undefined): void {
  current = engine;
}

/** The engine in use; the default one is loaded at the first need. */
export async function engineInUse(): Promise<Engine> {
  if (current === undefined) {
    // The only arrow from tensor to engines: late, so that the graph itself needs none of them.
    const { openEngine } = await import("../engines/mod.ts");
    current ??= await openEngine("tfjs");
  }
  return current;
}

async function programFor(
  engine: Engine,
  tensor: Tensor,
): Promise<{ readonly program: Program; readonly values: HostArray[]; readonly types: readonly Tensor[] }> {
  const whole = { parameters: [], outputs: [tensor] };
  const { graph, values, key } = liftConstants(mergeEqual(engine.loops ? whole : unroll(whole)));
  const known = programs.get(engine) ?? new Map<string, Program>();
  programs.set(engine, known);
  const program = known.get(key) ?? await engine.compile(graph, { donate: [] });
  known.delete(key);
  known.set(key, program);
  for (const [oldest, dropped] of known) {
    if (known.size <= keptPrograms) break;
    known.delete(oldest);
    dropped.dispose();
  }
  return { program, values, types: graph.parameters };
}

/** The value of a tensor that depends on no program's arguments. */
export async function evaluate(tensor: Tensor): Promise<HostArray> {
  const engine = await engineInUse();
  const { program, values, types } = await programFor(engine, tensor);
  const inputs = await Promise.all(values.map((value, i) => engine.upload(value, types[i] as Tensor)));
  const [output] = await program.run(inputs);
  inputs.forEach((input) => engine.release(input));
  if (output === undefined) throw new Error("Cannot read a tensor: the program gave no output");
  const data = await engine.download(output);
  engine.release(output);
  return data;
}
