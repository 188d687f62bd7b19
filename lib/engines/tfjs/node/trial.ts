/**
 * Trying a package of tfjs-node in a process of its own, where a library that does not fit does no harm.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { cacheFolder } from "../../xla/mod.ts";
import type { Verdict } from "../../xla/mod.ts";
import { errorLine, run } from "./programs.ts";

/** The program that tries a package: a product and a sum on TensorFlow. */
const trial = (folder: string): string => `
const util = require("node:util");
util.isNullOrUndefined ??= (x) => x === null || x === undefined;
util.isArray ??= Array.isArray;
const { binding: b } = require(${JSON.stringify(folder)}).backend();
const type = { name: "T", type: b.TF_ATTR_TYPE, value: b.TF_FLOAT };
const flag = (name) => ({ name, type: b.TF_ATTR_BOOL, value: false });
const tensor = (...x) => b.createTensor([2, 2], b.TF_FLOAT, Float32Array.from(x));
const [p] = b.executeOp("MatMul", [type, flag("transpose_a"), flag("transpose_b")], [tensor(1, 2, 3, 4), tensor(5, 6, 7, 8)], 1);
const [y] = b.executeOp("AddV2", [type], [p.id, tensor(1, 1, 1, 1)], 1);
console.log(JSON.stringify({ values: Array.from(b.tensorDataSync(y.id)), version: b.TF_Version, gpu: b.isUsingGpuDevice() }));
`;

/**
 * Tries a package in a process of its own: a library that does not fit ends that process, not this one.
 *
 * @param folder The package's folder.
 * @returns Whether its numbers are right, and on what, or why not.
 * @example
 * ```ts
 * import { testNodePackage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { works, reason } = await testNodePackage("/no/such/package");
 * assert.ok(!works && reason.includes("/no/such/package"));
 * ```
 */
export async function testNodePackage(folder: string): Promise<Verdict> {
  mkdirSync(cacheFolder("tfjs"), { recursive: true });
  const scratch = mkdtempSync(join(cacheFolder("tfjs"), "trial-"));
  try {
    const file = join(scratch, "trial.cjs");
    writeFileSync(file, trial(folder));
    const { code, said, wrote } = await run(
      process.execPath,
      process.versions["deno"] === undefined ? [file] : ["run", "-A", "--no-config", file],
      { seconds: 120, env: { TF_FORCE_GPU_ALLOW_GROWTH: "true", TF_CPP_MIN_LOG_LEVEL: "2" } },
    );
    if (code !== 0) return { works: false, reason: errorLine(said) };
    const { values, version, gpu } = JSON.parse(wrote.trim().split("\n").at(-1) ?? "") as {
      readonly values: readonly number[];
      readonly version: string;
      readonly gpu: boolean;
    };
    if (values.join() !== "20,23,44,51") {
      return { works: false, reason: `it computed ${values.join(", ")}, expected 20, 23, 44, 51` };
    }
    return { works: true, reason: `TensorFlow ${version} on ${gpu ? "a GPU" : "the processor"}` };
  } catch (error) {
    return { works: false, reason: (error as Error).message };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
