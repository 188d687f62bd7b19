/**
 * What this machine is, and which of the engines work on it: for people, so the answers are words.
 */
import { arch, availableParallelism, cpus, freemem, platform, totalmem } from "node:os";
import { basename, relative } from "node:path";
import process from "node:process";
import { constant, matmul, trace } from "../tensor/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import type { EngineName } from "./registry.ts";
import { openEngine } from "./registry.ts";
import {
  findNodePackage,
  nodePackageVersion,
  portableVersion,
  testNodePackage,
  webgpuAdapterName,
} from "./tfjs/mod.ts";
import type { NodePackage } from "./tfjs/mod.ts";
import { cacheFolder, findPlugin, testPlugin } from "./xla/mod.ts";
import type { PluginName } from "./xla/mod.ts";

/**
 * One property of the machine, for a table.
 *
 * @example
 * ```ts
 * import { describeMachine, type MachineFact } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const facts: readonly MachineFact[] = await describeMachine();
 * assert.ok(facts.some(({ what }) => what === "memory"));
 * ```
 */
export type MachineFact = { readonly what: string; readonly here: string };

/**
 * Describes the machine: processor, cores, memory, system, runtime, graphics adapter.
 *
 * @returns Facts in this order, in words.
 * @example
 * ```ts
 * import { describeMachine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [processor] = await describeMachine();
 * assert.equal(processor?.what, "processor");
 * ```
 */
export async function describeMachine(): Promise<MachineFact[]> {
  const { Deno: deno } = globalThis as { readonly Deno?: { readonly version: { readonly deno: string } } };
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const all = cpus();
  return [
    { what: "processor", here: all[0]?.model.trim() || arch() },
    { what: "cores", here: `${all.length}, of which this process may use ${availableParallelism()}` },
    { what: "memory", here: `${gibibytes(totalmem())}, of which ${gibibytes(freemem())} are free` },
    { what: "system", here: `${platform()} ${arch()}` },
    {
      what: "runtime",
      here: deno === undefined ? `Node ${process.versions.node}` : `Deno ${deno.version.deno}`,
    },
    { what: "graphics", here: await webgpuAdapterName() },
  ];
}

/**
 * Whether an engine works here.
 *
 * @example
 * ```ts
 * import { type EngineState, surveyEngines } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const [state]: readonly EngineState[] = await surveyEngines({ names: ["tfjs-wasm"] });
 * assert.deepEqual(state?.engine?.name, "tfjs-wasm");
 * assert.match(state.version, /^tfjs 4\./);
 * ```
 */
export type EngineState = {
  /** The name that was asked for. */
  readonly name: EngineName;
  /** The engine, when it opened and its numbers were right. */
  readonly engine: Engine | undefined;
  /** Where it runs, or why it does not. */
  readonly state: string;
  /** What computes and its version: `tfjs 4.22.0`, `TensorFlow 2.21.0`; empty where nothing is found. */
  readonly version: string;
};

const everyName: readonly EngineName[] = [
  ...["reference", "tfjs-cpu", "tfjs-wasm", "tfjs-webgpu", "tfjs-node", "tfjs-node-gpu"] as const,
  ...["xla-cpu", "xla-cuda", "xla-rocm", "xla-tpu"] as const,
];

/** tfjs-node and its GPU form, in the engines' order. */
const nodePackages: Readonly<Partial<Record<EngineName, NodePackage>>> = {
  "tfjs-node": "tfjs-node",
  "tfjs-node-gpu": "tfjs-node-gpu",
};

/** What an engine's name stands for: a package and its version, as far as it lies here. */
async function versionOf(name: EngineName): Promise<string> {
  if (name === "reference") return "of this library";
  const nodePackage = nodePackages[name];
  if (nodePackage !== undefined) return nodePackageVersion(nodePackage);
  if (name.startsWith("tfjs")) return await portableVersion();
  const plugin = findPlugin(name as PluginName);
  if (plugin === undefined) return "";
  const inside = relative(cacheFolder("plugins"), plugin);
  return inside.startsWith("..") ? basename(plugin) : inside.split("/")[0] as string;
}

/** Why an engine must not be opened, tried in a process of its own: native code that does not fit ends its process. */
async function unfit(name: EngineName): Promise<string | undefined> {
  const nodePackage = nodePackages[name];
  const folder = nodePackage === undefined ? undefined : findNodePackage(nodePackage);
  if (folder !== undefined) {
    const { works, reason } = await testNodePackage(folder);
    return works ? undefined : `the package in ${folder} fails its test: ${reason}`;
  }
  const plugin = name.startsWith("xla-") ? findPlugin(name as PluginName) : undefined;
  if (plugin === undefined) return undefined;
  const { works, reason } = await testPlugin(plugin);
  return works ? undefined : reason;
}

async function survey(name: EngineName): Promise<EngineState> {
  const version = await versionOf(name);
  try {
    const reason = await unfit(name);
    if (reason !== undefined) return { name, engine: undefined, version, state: reason };
    const engine = await openEngine(name);
    const right = await computes(engine);
    const [device] = engine.devices();
    return {
      name,
      engine: right ? engine : undefined,
      version,
      state: right ? `works, on ${device?.name ?? "this machine"}` : "gives wrong numbers",
    };
  } catch (error) {
    return {
      name,
      engine: undefined,
      version,
      state: error instanceof Error ? error.message : String(error),
    };
  }
}

/** A small product on the engine: it works if the numbers are right. */
async function computes(engine: Engine): Promise<boolean> {
  const graph = trace(() => [matmul(constant([[1, 2], [3, 4]]), constant([[1], [1]]))], []);
  const program = await engine.compile(graph, { donate: [] });
  const [output] = await program.run([]);
  if (output === undefined) return false;
  const [a, b] = await engine.download(output);
  engine.release(output);
  program.dispose();
  return a === 3 && b === 7;
}

/**
 * Opens engines and tries a small product on each; native packages are tried in a process of their own before. Nothing is
 * installed.
 *
 * @param options `names`: engines to try, default all that are different from each other.
 * @returns One state per name, in order; an engine that does not work is no error.
 * @example
 * ```ts
 * import { surveyEngines } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const states = await surveyEngines({ names: ["reference", "tfjs-webgpu"] });
 * assert.ok(states[0]?.engine !== undefined);
 * assert.ok(states.every(({ state }) => state !== ""));
 * ```
 */
export async function surveyEngines(
  { names = everyName }: { readonly names?: readonly EngineName[] } = {},
): Promise<EngineState[]> {
  const states = new Map<EngineName, EngineState>();
  // A stock tfjs-node does not survive a graphics driver that was there before it, the driver does.
  const native = (name: EngineName): number => nodePackages[name] === undefined ? 1 : 0;
  for (const name of [...names].sort((a, b) => native(a) - native(b))) {
    states.set(name, await survey(name)); // one after another: they would slow each other down
  }
  return names.map((name) => states.get(name) as EngineState);
}
