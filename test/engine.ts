/**
 * The engine of the tests of training and model: tfjs or, in the stage that runs them once more, the one that the variable
 * ALBERT_TEST_ENGINE names. Opened outside of any test, so that no test seems to leave its process behind.
 */
import process from "node:process";
import { openEngine } from "albert-guide";
import type { Engine } from "albert-guide";

/** The name that was asked for, or the default. */
export function testEngineName(usual: "tfjs-wasm" | "reference"): string {
  const name = process.env["ALBERT_TEST_ENGINE"];
  return name === undefined || name === "" ? usual : name;
}

/** Opens it, and starts its process. */
export async function openTestEngine(usual: "tfjs-wasm" | "reference" = "tfjs-wasm"): Promise<Engine> {
  const engine = await openEngine(testEngineName(usual));
  const buffer = await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] });
  await engine.download(buffer);
  engine.release(buffer);
  return engine;
}
