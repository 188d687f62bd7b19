/**
 * The table of engines. A new engine adds one line here; nothing else in the library knows it.
 */
import type { Engine } from "../tensor/mod.ts";
import { referenceEngine } from "./reference/mod.ts";
import { tfjsEngine } from "./tfjs/mod.ts";
import { findPlugin, testPlugin, xlaEngine } from "./xla/mod.ts";

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
  | "xla"
  | "xla-cpu";

const table: { readonly [Name in EngineName]: EngineName | (() => Promise<Engine>) } = {
  // Another name, or how to open it.
  "auto": async () => await openEngine(await xlaWorks() ? "xla-cpu" : "tfjs-wasm"),
  "tfjs": "tfjs-wasm",
  "reference": () => Promise.resolve(referenceEngine()),
  "tfjs-wasm": () => tfjsEngine({ backend: "wasm" }),
  "tfjs-cpu": () => tfjsEngine({ backend: "cpu" }),
  "tfjs-webgpu": () => tfjsEngine({ backend: "webgpu" }),
  "xla": "xla-cpu",
  "xla-cpu": () => xlaEngine(),
};

/** Whether an installed plugin gives right numbers here; nothing is installed for the question. */
async function xlaWorks(): Promise<boolean> {
  const plugin = findPlugin();
  return plugin !== undefined && (await testPlugin(plugin)).works;
}

const opened = new Map<EngineName, Promise<Engine>>();

/**
 * Opens an engine by name; the same name gives the same engine.
 *
 * @param name `"auto"` (XLA where a plugin is installed and works, else tfjs on WebAssembly, which runs everywhere),
 * `"reference"`, `"tfjs"` (the same as `"tfjs-wasm"`), `"tfjs-wasm"`, `"tfjs-cpu"`, `"tfjs-webgpu"`, or `"xla"` (the
 * same as `"xla-cpu"`), which needs an installed plugin.
 * @returns The engine; its `name` tells what was taken.
 * @throws {RangeError} When the name is unknown.
 * @throws {Error} When the engine cannot work here, for example without a WebGPU adapter.
 * @example
 * ```ts
 * import { openEngine } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const engine = await openEngine("auto");
 * assert.ok(["xla-cpu", "tfjs-wasm"].includes(engine.name));
 * assert.equal(await openEngine("tfjs"), await openEngine("tfjs-wasm"));
 * ```
 */
export async function openEngine(name: EngineName | (string & Record<never, never>)): Promise<Engine> {
  if (!Object.hasOwn(table, name)) {
    throw new RangeError(
      `Cannot open the engine ${name}: it is unknown, choose one of ${Object.keys(table).join(", ")}`,
    );
  }
  const entry = table[name as EngineName];
  if (typeof entry === "string") return await openEngine(entry);
  const known = opened.get(name as EngineName) ?? entry();
  opened.set(name as EngineName, known);
  try {
    return await known;
  } catch (error) {
    // A failure is not kept: the next call tries again.
    opened.delete(name as EngineName);
    throw error;
  }
}
