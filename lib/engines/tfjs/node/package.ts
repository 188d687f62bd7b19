/**
 * Where `@tensorflow/tfjs-node` and its GPU form lie, and how they are loaded. Only the native addon is: the package's
 * JavaScript would register the kernels of tfjs' other backends a second time. A process holds one TensorFlow.
 */
import { existsSync, readFileSync } from "node:fs";
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

/** Raise when what is built changes; an older installation is then no longer found. */
const build = 2;

/** Where an installation lies as a whole: its node_modules and TensorFlow's libraries. */
export function installedFolder(name: NodePackage): string {
  return join(cacheFolder("tfjs"), `${name}-${npmVersion}-tensorflow-${tensorFlowVersion}-${build}`);
}

/** The addon in a package's folder; 8 is the version of Node's API that it is built for. */
export const addonOf = (folder: string): string => join(folder, "lib", "napi-v8", "tfjs_binding.node");

/** What the addon of an installation loads, apart from the other libraries of the process; a stock package has no such file. */
export const isolatedAddonOf = (folder: string): string =>
  join(addonOf(folder), "..", "tfjs_tensorflow.node");

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

/** What a package's engine computes with, in words; empty where it is not there. */
export function nodePackageVersion(name: NodePackage): string {
  const folder = findNodePackage(name);
  if (folder === undefined) return "";
  if (folder.startsWith(installedFolder(name))) {
    return `${name} ${npmVersion}, TensorFlow ${tensorFlowVersion}`;
  }
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version?: string };
  return `${name} ${version ?? ""}`.trim();
}

/**
 * The LLVM of a graphics driver in a process, if there is one: the part of a line of Linux' list of a process' files.
 * Mesa's drivers make its symbols everyone's, and TensorFlow's own LLVM, started after it, would take them for its own.
 */
export function foreignLlvm(maps: string): string | undefined {
  return /\/\S*libLLVM[^/\s]*/.exec(maps)?.[0];
}

function mappedFiles(): string {
  try {
    return readFileSync("/proc/self/maps", "utf8");
  } catch {
    return ""; // not Linux
  }
}

/** Refuses what would end the process; what this library builds is apart from the other libraries of a process. */
export function checkAlone(name: NodePackage, folder: string, maps: string = mappedFiles()): void {
  const llvm = foreignLlvm(maps);
  if (llvm === undefined || existsSync(isolatedAddonOf(folder))) return;
  throw new Error(
    `Cannot open ${name}: this process has loaded a graphics driver with ${llvm}, and the package in ${folder} would not ` +
      `survive beside it; open ${name} before tfjs-webgpu, or \`deno task albert environment --install=${name}\` builds one ` +
      "that bears it",
  );
}

let loaded: { readonly folder: string; readonly binding: Binding } | undefined;

/**
 * Loads a package and gives its addon.
 *
 * @throws {Error} When there is none, it does not load, the process holds another already, or a driver's LLVM that a
 * stock package would not survive.
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
  checkAlone(name, folder);
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
