/**
 * How commands open the engine that was asked for: `auto` is chosen by test and measured speed, and said in one line.
 */
import { chooseEngine, describeChoice, openEngine } from "../engines/mod.ts";
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
    help: "auto, xla, xla-cpu, xla-cuda, xla-rocm, xla-tpu, tfjs (wasm), tfjs-cpu, tfjs-webgpu, reference",
  },
  plugin: {
    kind: "string",
    help: "path of a PJRT plugin for the xla engines, instead of ALBERT_PJRT_PLUGIN or the installed one",
  },
};

/**
 * Opens an engine.
 *
 * @param wish The values of the flags.
 * @param print Where the choice of `auto` is told; without it nothing is measured.
 * @throws {UsageError} When a plugin is named for an engine that takes none.
 */
export async function openWished(
  { engine, plugin }: { readonly engine: string; readonly plugin?: unknown },
  print?: Context["print"],
): Promise<Engine> {
  const options = typeof plugin === "string" && plugin !== "" ? { plugin } : {};
  if (options.plugin !== undefined && engine !== "auto" && !engine.startsWith("xla")) {
    throw new UsageError(
      `Cannot open ${engine} with --plugin=${options.plugin}: only the xla engines take a plugin, leave one out`,
    );
  }
  if (engine !== "auto") return await openEngine(engine, options);
  const choice = await chooseEngine({ ...options, measure: print !== undefined });
  print?.(describeChoice(choice));
  return await openEngine(choice.name, options);
}
