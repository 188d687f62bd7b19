/**
 * How commands open the engine that was asked for: `auto` is chosen by test and measured speed, and said in one line.
 */
import {
  chooseEngine,
  describeChoice,
  findPlugin,
  openEngine,
  type PluginName,
  xlaEngine,
} from "../engines/mod.ts";
import type { Engine } from "../tensor/mod.ts";
import { type Context, type Flag, UsageError } from "./command.ts";

/** The flags that name an engine. */
export const engineFlags: {
  readonly engine: Flag<"string"> & { readonly default: string };
  readonly plugin: Omit<Flag<"string">, "default">;
} = {
  engine: {
    kind: "string",
    default: "auto",
    help: "auto, xla, xla-cpu, xla-cuda, xla-rocm, xla-tpu, tfjs (wasm), tfjs-cpu, tfjs-webgpu, tfjs-node, " +
      "tfjs-node-gpu, reference",
  },
  plugin: {
    kind: "string",
    help: "path of a PJRT plugin for the xla engines, instead of ALBERT_PJRT_PLUGIN or the installed one",
  },
};

/**
 * Opens an engine.
 *
 * @param wish The values of the flags; `devices` above 1 are for the xla engines.
 * @param print Where the choice of `auto` is told; without it nothing is measured.
 * @throws {UsageError} When a plugin or devices are named for an engine that takes none.
 */
export async function openWished(
  { engine, plugin, devices = 1 }: {
    readonly engine: string;
    readonly plugin?: unknown;
    readonly devices?: number;
  },
  print?: Context["print"],
): Promise<Engine> {
  const options = typeof plugin === "string" && plugin !== "" ? { plugin } : {};
  if (options.plugin !== undefined && engine !== "auto" && !engine.startsWith("xla")) {
    throw new UsageError(
      `Cannot open ${engine} with --plugin=${options.plugin}: only the xla engines take a plugin, leave one out`,
    );
  }
  if (!(devices >= 1 && devices <= 64)) {
    throw new UsageError(`Cannot open ${engine} with --devices=${devices}: it must be 1 to 64`);
  }
  if (engine !== "auto") return await openOn(engine, options, devices);
  const choice = await chooseEngine({ ...options, measure: print !== undefined });
  print?.(describeChoice(choice));
  return await openOn(choice.name, options, devices);
}

async function openOn(name: string, options: { readonly plugin?: string }, devices: number): Promise<Engine> {
  if (devices === 1) return await openEngine(name, options);
  if (!name.startsWith("xla")) {
    throw new UsageError(
      `Cannot open ${name} with --devices=${devices}: it has one device; give --engine=xla or leave the flag out`,
    );
  }
  const plugin = options.plugin ?? (name === "xla" ? findPlugin() : findPlugin(name as PluginName));
  return plugin === undefined
    ? await openEngine(name) // says what is missing
    : await xlaEngine({ plugin, devices });
}
