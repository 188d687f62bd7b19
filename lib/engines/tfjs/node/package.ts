/**
 * Where `@tensorflow/tfjs-node` and its GPU form lie, and how they are loaded. Only the native addon is: the package's
 * JavaScript would register the kernels of tfjs' other backends a second time. A process holds one TensorFlow.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { cacheFolder } from "../../xla/mod.ts";
import type { Binding } from "./binding.ts";

/**
 * The packages: for the processor, and for a GPU of NVIDIA's.
 *
 * @example
 * ```ts
 * import type { NodePackage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: NodePackage = "tfjs-node-gpu";
 * assert.ok(name.startsWith("tfjs-node"));
 * ```
 */
export type NodePackage = "tfjs-node" | "tfjs-node-gpu";

/** Version of the npm packages. */
export const npmVersion = "4.22.0";

/** Version of TensorFlow that the addon is built against. */
export const tensorFlowVersion = "2.21.0";

/** Where an installation lies as a whole: its node_modules and TensorFlow's libraries. */
export function installedFolder(name: NodePackage): string {
  return join(cacheFolder("tfjs"), `${name}-${npmVersion}-tensorflow-${tensorFlowVersion}`);
}

/** The addon in a package's folder; 8 is the version of Node's API that it is built for. */
export const addonOf = (folder: string): string => join(folder, "lib", "napi-v8", "tfjs_binding.node");

/**
 * Finds a package of tfjs-node.
 *
 * @param name Which of the two.
 * @returns The folder of the one that this library installed, else of one that the working folder's programs would load,
 * else undefined.
 * @example
 * ```ts
 * import { findNodePackage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const folder = findNodePackage("tfjs-node");
 * assert.ok(folder === undefined || folder.endsWith("tfjs-node"));
 * ```
 */
export function findNodePackage(name: NodePackage): string | undefined {
  const own = join(installedFolder(name), "node_modules", "@tensorflow", name);
  if (existsSync(addonOf(own))) return own;
  try {
    const at = createRequire(join(process.cwd(), "program.js")).resolve(`@tensorflow/${name}/package.json`);
    return join(at, "..");
  } catch {
    return undefined;
  }
}

let loaded: { readonly folder: string; readonly binding: Binding } | undefined;

/**
 * Loads a package and gives its addon.
 *
 * @throws {Error} When there is none, it does not load, or the process holds another already.
 */
export function loadNodePackage(name: NodePackage): { readonly folder: string; readonly binding: Binding } {
  const folder = findNodePackage(name);
  if (folder === undefined) {
    throw new Error(
      `Cannot open ${name}: it is not installed; \`deno task albert environment --install=${name}\` builds it, or a ` +
        `@tensorflow/${name} that works in the working folder is taken`,
    );
  }
  if (loaded?.folder === folder) return loaded;
  if (loaded !== undefined) {
    throw new Error(
      `Cannot open ${name}: this process has loaded ${loaded.folder}, and holds one TensorFlow; start another process`,
    );
  }
  // TensorFlow would take a GPU's whole memory, and tells of its instructions at each start.
  process.env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true";
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "1";
  try {
    const binding = createRequire(join(folder, "package.json"))(addonOf(folder)) as Binding;
    return loaded = { folder, binding };
  } catch (error) {
    const [reason] = (error as Error).message.split("\n");
    throw new Error(
      `Cannot open ${name}: the package in ${folder} does not load (${reason}); ` +
        `\`deno task albert environment --install=${name}\` builds one that fits this runtime`,
      { cause: error },
    );
  }
}
