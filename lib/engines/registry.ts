/**
 * The table of engines. A new engine adds one line here; nothing else in the library knows it.
 */
import { resolve } from "node:path";
import type { Engine } from "../tensor/mod.ts";
import { referenceEngine } from "./reference/mod.ts";
import { tfjsEngine } from "./tfjs/mod.ts";
import { findPlugin, hasDevice, pluginKind, pluginNames, pluginsAreOff } from "./xla/mod.ts";
import { testPlugin, xlaEngine } from "./xla/mod.ts";
import type { PluginName } from "./xla/mod.ts";

/**
 * Names that `openEngine` knows.
 *
 * @example
 * ```ts
 * import { openEngine } from "albert-guide";
 * import type { EngineName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: EngineName = "reference";
 * assert.equal((await openEngine(name)).name, "reference");
 * ```
 */
export type EngineName =
  | "auto"
  | "reference"
  | "tfjs"
  | "tfjs-wasm"
  | "tfjs-cpu"
  | "tfjs-webgpu"
  | "tfjs-node"
  | "tfjs-node-gpu"
  | "xla"
  | PluginName;

/**
 * How an engine is opened.
 *
 * @example
 * ```ts
 * import { openEngine, type OpenOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: OpenOptions = { plugin: "no/such/plugin.so" };
 * await assert.rejects(openEngine("xla", options), /no such file/);
 * ```
 */
export type OpenOptions = {
  /** Path of a PJRT plugin for the XLA engines; default: ALBERT_PJRT_PLUGIN, else the installed one. */
  readonly plugin?: string;
};

type Opener = (options: OpenOptions) => Promise<Engine>;

const onPlugin = (name: PluginName): Opener => async ({ plugin = findPlugin(name) }) => {
  if (plugin !== undefined) return await xlaEngine({ plugin });
  throw new Error(
    pluginsAreOff()
      ? `Cannot open ${name}: ALBERT_PJRT_PLUGIN is none, which leaves XLA out`
      : `Cannot open ${name}: no XLA plugin is installed; run \`deno task albert environment --install=${name}\`, ` +
        "or set ALBERT_PJRT_PLUGIN to the path of one",
  );
};

const table: { readonly [Name in EngineName]: EngineName | Opener } = {
  // Another name, or how to open it.
  "auto": async (options) => await openEngine((await pickEngine(options)).name, options),
  "tfjs": "tfjs-wasm",
  "reference": () => Promise.resolve(referenceEngine()),
  "tfjs-wasm": () => tfjsEngine({ backend: "wasm" }),
  "tfjs-cpu": () => tfjsEngine({ backend: "cpu" }),
  "tfjs-webgpu": () => tfjsEngine({ backend: "webgpu" }),
  "tfjs-node": () => tfjsEngine({ backend: "node" }),
  "tfjs-node-gpu": () => tfjsEngine({ backend: "node-gpu" }),
  "xla": (options) => {
    const plugin = options.plugin ?? findPlugin();
    return openEngine(plugin === undefined ? "xla-cpu" : pluginKind(plugin), options);
  },
  "xla-cpu": onPlugin("xla-cpu"),
  "xla-cuda": onPlugin("xla-cuda"),
  "xla-rocm": onPlugin("xla-rocm"),
  "xla-tpu": onPlugin("xla-tpu"),
};

/** The engine that `auto` stands for, and why. */
export type Pick = { readonly name: EngineName; readonly plugin?: string; readonly reason: string };

/**
 * Picks the first plugin, the fastest device first, that is installed and gives right numbers here, else tfjs; nothing is
 * installed for the question. A plugin that the user names must work.
 */
export async function pickEngine({ plugin: given }: OpenOptions = {}): Promise<Pick> {
  if (given !== undefined) {
    const plugin = resolve(given);
    const { works, reason } = await testPlugin(plugin);
    if (!works) throw new Error(reason);
    return { name: pluginKind(plugin), plugin, reason: "its plugin was given and its self-test passes" };
  }
  const reasons: string[] = [];
  for (const name of pluginNames.filter(hasDevice)) {
    const path = findPlugin(name);
    if (path === undefined) continue;
    const { works, reason } = await testPlugin(path);
    if (works) return { name, plugin: path, reason: "its self-test passes" };
    reasons.push(`${name} fails its self-test: ${reason}`);
  }
  const reason = pluginsAreOff()
    ? "ALBERT_PJRT_PLUGIN is none"
    : reasons.length > 0
    ? reasons.join("; ")
    : "no XLA plugin is installed, `deno task albert environment --install=xla-cpu` would fetch one";
  return { name: "tfjs-wasm", reason };
}

const opened = new Map<string, Promise<Engine>>();

/**
 * Opens an engine by name; the same name gives the same engine.
 *
 * @param name `"auto"` (XLA where a plugin is installed and works, else tfjs on WebAssembly, which runs everywhere),
 * `"reference"`, `"tfjs"` (the same as `"tfjs-wasm"`), `"tfjs-wasm"`, `"tfjs-cpu"`, `"tfjs-webgpu"`, `"tfjs-node"` and
 * `"tfjs-node-gpu"` once they are installed, `"xla"` (the fastest
 * device that a plugin is installed for), `"xla-cpu"`, `"xla-cuda"`, `"xla-rocm"` or `"xla-tpu"`; these need a plugin.
 * @param options A plugin of one's own.
 * @returns The engine; its `name` tells what was taken.
 * @throws {RangeError} When the name is unknown, or a plugin is given to an engine that takes none.
 * @throws {Error} When the engine cannot work here, for example without a WebGPU adapter.
 * @example
 * ```ts
 * import { openEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const engine = await openEngine("auto");
 * assert.match(engine.name, /^(xla-.*|tfjs-wasm)$/);
 * assert.equal(await openEngine("tfjs"), await openEngine("tfjs-wasm"));
 * ```
 */
export async function openEngine(
  name: EngineName | (string & Record<never, never>),
  options: OpenOptions = {},
): Promise<Engine> {
  if (!Object.hasOwn(table, name)) {
    throw new RangeError(
      `Cannot open the engine ${name}: it is unknown, choose one of ${Object.keys(table).join(", ")}`,
    );
  }
  const entry = table[name as EngineName];
  if (typeof entry === "string") return await openEngine(entry, options);
  const plugin = options.plugin === undefined ? undefined : resolve(options.plugin);
  if (plugin !== undefined && name !== "auto" && !name.startsWith("xla")) {
    throw new RangeError(`Cannot open ${name}: it takes no plugin, ${plugin} is for the xla engines`);
  }
  if (plugin !== undefined && name.startsWith("xla-") && pluginKind(plugin) !== name) {
    throw new RangeError(`Cannot open ${name}: the plugin ${plugin} is one for ${pluginKind(plugin)}`);
  }
  const key = `${name} ${plugin ?? ""}`;
  const known = opened.get(key) ?? entry(plugin === undefined ? {} : { plugin });
  opened.set(key, known);
  try {
    return await known;
  } catch (error) {
    // A failure is not kept: the next call tries again.
    opened.delete(key);
    throw error;
  }
}
