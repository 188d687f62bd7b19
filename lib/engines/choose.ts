/**
 * The choice of an engine, with its reason and the measured speed of what was there to choose from. The speeds are kept
 * in the user's cache folder, for this plugin, processor, runtime and version of the measurement, so that only the first
 * start pays for them.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { writeFileAtomic } from "../formats/mod.ts";
import { measurePeak, measureStep } from "./measure.ts";
import type { EngineName, OpenOptions } from "./registry.ts";
import { openEngine, pickEngine } from "./registry.ts";
import { cacheFolder, processorKey, usableProcessors } from "./xla/mod.ts";

/** Raise when the measurement or an engine changes. */
const version = 3;

/** Rows and columns of the product: it must end soon on the slow engine. */
const size = 512;

/** Hours that a measurement on a busy machine is kept. */
const busyHours = 1;

/**
 * How fast an engine is.
 *
 * @example
 * ```ts
 * import type { EngineSpeed } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const speed: EngineSpeed = { name: "tfjs-wasm", product: 3e10, step: 0.01 };
 * assert.ok(speed.step < 1);
 * ```
 */
export type EngineSpeed = {
  readonly name: EngineName;
  /** Floating-point operations a second of a product of 512 × 512 numbers. */
  readonly product: number;
  /** Seconds of a small training step, see `measureStep`. */
  readonly step: number;
};

/**
 * What `--engine=auto` takes, and why.
 *
 * @example
 * ```ts
 * import { describeChoice, type EngineChoice } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const choice: EngineChoice = { name: "tfjs-wasm", reason: "no XLA plugin is installed", speeds: [] };
 * assert.equal(describeChoice(choice), "engine: tfjs-wasm, because no XLA plugin is installed");
 * ```
 */
export type EngineChoice = {
  readonly name: EngineName;
  /** Path of its plugin, for an XLA engine. */
  readonly plugin?: string;
  readonly reason: string;
  /** The engine that was taken and, if it is another, tfjs. */
  readonly speeds: readonly EngineSpeed[];
};

function noteFile(name: string, plugin: string | undefined): string {
  const file = plugin === undefined ? undefined : statSync(plugin);
  const identity = file === undefined ? "" : `${plugin}|${file.size}|${file.mtimeMs}`;
  const runtime = `${process.versions["deno"] ?? ""}|${process.versions.node}`;
  const key = [version, name, identity, runtime, usableProcessors(), processorKey()].join("|");
  return join(cacheFolder("speeds"), `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.json`);
}

async function speedOf(name: EngineName, options: OpenOptions): Promise<EngineSpeed> {
  const note = noteFile(name, options.plugin);
  try {
    const { product, step, busy } = JSON.parse(readFileSync(note, "utf8")) as EngineSpeed & { busy: boolean };
    const fresh = !busy || Date.now() - statSync(note).mtimeMs < busyHours * 3.6e6;
    if (product > 0 && step > 0 && fresh) return { name, product, step };
  } catch {
    // Not measured yet.
  }
  const busy = (loadavg()[0] ?? 0) > usableProcessors(); // what is measured then says little
  const engine = await openEngine(name, options);
  const step = await measureStep(engine, { seconds: 0.4 });
  const product = await measurePeak(engine, { smallest: size, largest: size });
  try {
    mkdirSync(cacheFolder("speeds"), { recursive: true });
    writeFileAtomic(note, `${JSON.stringify({ name, product, step, busy })}\n`);
  } catch {
    // A cache folder that cannot be written costs a measurement at each start.
  }
  return { name, product, step };
}

/**
 * Chooses the engine for a run: XLA where a plugin is installed and its self-test passes, else tfjs, and measures both,
 * once for each plugin and machine (about two seconds).
 *
 * @param options `plugin`: path of a PJRT plugin, which must then work; `measure`: false leaves the speeds out.
 * @returns The name for `openEngine`, the reason, the speeds.
 * @throws {Error} When the plugin that was given does not work.
 * @example
 * ```ts
 * import { chooseEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { name, reason, speeds } = await chooseEngine();
 * assert.ok(reason !== "" && speeds[0]?.name === name);
 * ```
 */
export async function chooseEngine(
  { plugin, measure = true }: OpenOptions & { readonly measure?: boolean } = {},
): Promise<EngineChoice> {
  const picked = await pickEngine(plugin === undefined ? {} : { plugin });
  if (!measure) return { ...picked, speeds: [] };
  const own = picked.plugin === undefined ? {} : { plugin: picked.plugin };
  const speeds = [await speedOf(picked.name, own)];
  if (picked.name !== "tfjs-wasm") speeds.push(await speedOf("tfjs-wasm", {}));
  return { ...picked, speeds };
}

/**
 * One line about a choice: name, reason, speeds, and where these do not show yet why it is taken.
 *
 * @param choice What `chooseEngine` gave.
 * @returns Such as `engine: xla-cpu, because its self-test passes; a product runs at …`.
 * @example
 * ```ts
 * import { describeChoice } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const speeds = [{ name: "xla-cpu", product: 8e10, step: 0.002 }] as const;
 * const line = describeChoice({ name: "xla-cpu", reason: "its self-test passes", speeds });
 * assert.match(line, /xla-cpu 80 GFLOP\/s and 2.0 ms a training step/);
 * ```
 */
export function describeChoice({ name, reason, speeds }: EngineChoice): string {
  const measured = speeds.map(({ name: each, product, step }) =>
    `${each} ${(product / 1e9).toFixed(0)} GFLOP/s and ${(1000 * step).toFixed(1)} ms a training step`
  );
  const [own, other] = speeds;
  const late = own !== undefined && other !== undefined && other.step <= own.step &&
    other.product < own.product;
  return `engine: ${name}, because ${reason}` +
    (measured.length === 0 ? "" : `; measured ${measured.join(", ")}`) +
    (late ? `; at so small a step ${other.name} is no slower, ${name}'s lead grows with the model` : "");
}
