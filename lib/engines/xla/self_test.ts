/**
 * Whether a plugin gives right numbers on this machine: a small product and a sum, compiled and run in a process of
 * their own. The verdict is kept in the cache folder, for this file, processor and version of the test.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeFileAtomic } from "../../formats/mod.ts";
import { add, matmul, trace } from "../../tensor/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { xlaEngineOn } from "./engine.ts";
import { cacheFolder, checkLibrary } from "./plugin.ts";
import { processorKey } from "./program_cache.ts";

/** Raise when the test asks for more. */
const version = 1;

/**
 * What the test of a plugin found.
 *
 * @example
 * ```ts
 * import type { Verdict } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const verdict: Verdict = { works: true, reason: "its numbers are right" };
 * assert.ok(verdict.works);
 * ```
 */
export type Verdict = { readonly works: boolean; readonly reason: string };

function noteFile(plugin: string): string {
  const { size, mtimeMs } = statSync(plugin);
  const key = createHash("sha256").update(`${version}|${plugin}|${size}|${mtimeMs}|${processorKey()}`).digest(
    "hex",
  );
  return join(cacheFolder("plugins"), `self-test-${key.slice(0, 32)}.json`);
}

async function tryPlugin(plugin: string): Promise<Verdict> {
  const engine = xlaEngineOn({ plugin, programCache: false });
  try {
    const type = { dtype: "float32", shape: [2, 2] } as const;
    const graph = trace((a, b) => [add(matmul(a as Tensor, b as Tensor), 1)], [type, type]);
    const program = await engine.compile(graph, { donate: [] });
    const inputs = [
      await engine.upload(Float32Array.of(1, 2, 3, 4), type),
      await engine.upload(Float32Array.of(5, 6, 7, 8), type),
    ];
    const [output] = await program.run(inputs);
    const values = output === undefined ? [] : Array.from(await engine.download(output));
    const works = values.join() === "20,23,44,51";
    return { works, reason: works ? "its numbers are right" : `it computed ${values.join(", ")}` };
  } catch (error) {
    return { works: false, reason: (error as Error).message };
  } finally {
    await engine.dispose();
  }
}

/**
 * Tests whether a PJRT plugin computes right numbers here, in a process of its own; once for each file and processor.
 *
 * @param given Its path.
 * @returns Whether it works, and why not.
 * @example
 * ```ts
 * import { testPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { works, reason } = await testPlugin("no/such/plugin.so");
 * assert.ok(!works);
 * assert.match(reason, /no such file/);
 * ```
 */
export async function testPlugin(given: string): Promise<Verdict> {
  const plugin = resolve(given);
  try {
    checkLibrary(plugin);
  } catch (error) {
    return { works: false, reason: (error as Error).message };
  }
  const note = noteFile(plugin);
  try {
    return JSON.parse(readFileSync(note, "utf8")) as Verdict;
  } catch {
    // Not tested yet.
  }
  const verdict = await tryPlugin(plugin);
  try {
    // A failure may have had a passing cause, such as too little memory: it is not kept.
    if (verdict.works) writeFileAtomic(note, `${JSON.stringify(verdict)}\n`);
  } catch {
    // A cache folder that cannot be written costs a test at each start.
  }
  return verdict;
}
