/**
 * The engine of the tests of training and model: tfjs or, in the stage that runs them once more, the one that the variable
 * ALBERT_TEST_ENGINE names. Opened outside of any test, so that no test seems to leave its process behind. Equal programs
 * are compiled once for a file: its tests train the same small model dozens of times.
 */
import process from "node:process";
import { openEngine, stableHlo } from "albert-guide";
import type { Engine } from "albert-guide";

/** The name that was asked for, or the default. */
export function testEngineName(usual: "tfjs-wasm" | "reference"): string {
  const name = process.env["ALBERT_TEST_ENGINE"];
  return name === undefined || name === "" ? usual : name;
}

/** An engine that compiles a program once, however often it is asked for, and keeps it. */
export function compilingOnce(engine: Engine): Engine {
  const programs = new Map<string, ReturnType<Engine["compile"]>>();
  const compile: Engine["compile"] = async (graph, options) => {
    const key = `${JSON.stringify(options)}\n${stableHlo(graph)}`;
    const known = programs.get(key) ?? engine.compile(graph, options);
    programs.set(key, known);
    known.catch(() => programs.delete(key)); // a refusal is not kept: the next one is asked again
    return { ...await known, dispose: () => {} };
  };
  return { ...engine, compile };
}

/** Opens it, and starts its process. */
export async function openTestEngine(usual: "tfjs-wasm" | "reference" = "tfjs-wasm"): Promise<Engine> {
  const engine = compilingOnce(await openEngine(testEngineName(usual)));
  const buffer = await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] });
  await engine.download(buffer);
  engine.release(buffer);
  return engine;
}
