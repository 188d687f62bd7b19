/**
 * Finding a PJRT plugin and looking at it before anything loads it. A plugin is a shared library of some 200 MB; it lies
 * where `install.ts` puts it, or where the user says. What a plugin runs on is told from its file's name, because the
 * names of the options that its client takes follow from it.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { packagesHere } from "./packages.ts";
import type { PluginName, PluginPackage } from "./packages.ts";

/** A folder of this library in the user's cache: XDG_CACHE_HOME or ~/.cache. */
export function cacheFolder(part: string): string {
  const base = process.env["XDG_CACHE_HOME"];
  const root = base === undefined || base === "" ? join(homedir(), ".cache") : base;
  return join(root, "albert-guide", part);
}

/** The folder of an installed package. */
export function packageFolder({ name, version }: PluginPackage): string {
  return join(cacheFolder("plugins"), `${name}-${version}`);
}

/** Where a package's library lies once it is installed. */
export function installedPath(each: PluginPackage): string {
  return join(packageFolder(each), each.companions === undefined ? "plugin.so" : each.member);
}

/** Plugins, the fastest device first. */
export const pluginNames: readonly PluginName[] = ["xla-cuda", "xla-rocm", "xla-tpu", "xla-cpu"];

/** What a plugin runs on, by its file's name or, where this library installed it, its folder's. */
export function pluginKind(path: string): PluginName {
  if (/libtpu[^/]*(\/plugin)?\.so/i.test(path)) return "xla-tpu";
  const name = path.split("/").slice(-2).join("/");
  return /cuda/i.test(name) ? "xla-cuda" : /rocm/i.test(name) ? "xla-rocm" : "xla-cpu";
}

const deviceFiles: Readonly<Record<PluginName, readonly string[]>> = {
  "xla-cuda": ["/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"],
  "xla-rocm": ["/dev/kfd"],
  "xla-tpu": ["/dev/accel0", "/dev/vfio/0"],
  "xla-cpu": ["/"],
};

/** Whether this machine shows a device that a plugin could run on. */
export function hasDevice(name: PluginName): boolean {
  return deviceFiles[name].some((path) => existsSync(path));
}

/** The path that the user gave for every run: `none` leaves XLA out. */
function givenPlugin(): string | undefined {
  const given = process.env["ALBERT_PJRT_PLUGIN"];
  return given === undefined || given === "" || given === "none" ? given || undefined : resolve(given);
}

/** Whether the user wants no plugin at all. */
export function pluginsAreOff(): boolean {
  return givenPlugin() === "none";
}

/**
 * The plugin that an XLA engine would use.
 *
 * @param name What it must run on; left out, the fastest device that this machine shows and a plugin is installed for.
 * @returns The path in the environment variable ALBERT_PJRT_PLUGIN, else that of the installed plugin, else undefined;
 * undefined also when the variable is `none`.
 * @example
 * ```ts
 * import { findPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const path = findPlugin("xla-cpu");
 * assert.ok(path === undefined || path.length > 0);
 * ```
 */
export function findPlugin(name?: PluginName): string | undefined {
  if (pluginsAreOff()) return undefined;
  const given = givenPlugin();
  if (given !== undefined && (name === undefined || pluginKind(given) === name)) return given;
  const wanted = name === undefined ? pluginNames.filter(hasDevice) : [name];
  return wanted.flatMap((each) => packagesHere(each, process)).map(installedPath).find((path) =>
    existsSync(path)
  );
}

const machines: Readonly<Record<string, number>> = { x64: 0x3e, arm64: 0xb7 };

function readHead(path: string): Uint8Array {
  const head = new Uint8Array(64);
  const file = openSync(path, "r");
  try {
    readSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
  return head;
}

/**
 * Refuses a file that is no shared library for this machine or is cut off, and libtpu where there is no TPU, before
 * anything loads it.
 *
 * @throws {Error} Naming the file and what is wrong with it.
 */
export function checkLibrary(path: string): void {
  const refuse = (reason: string): Error => new Error(`Cannot use the plugin ${path}: ${reason}`);
  if (!existsSync(path)) throw refuse("there is no such file");
  const stat = statSync(path);
  if (!stat.isFile()) throw refuse("it is no file that can be read"); // opening a named pipe would wait for ever
  const { size } = stat;
  let head: Uint8Array;
  try {
    head = readHead(path);
  } catch {
    throw refuse("it is no file that can be read");
  }
  const view = new DataView(head.buffer);
  // ELF, 64 bits, little-endian, shared object: gABI, chapter 4.
  if (
    view.getUint32(0, false) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1 ||
    view.getUint16(16, true) !== 3
  ) {
    throw refuse("it is no 64-bit ELF shared library");
  }
  const machine = view.getUint16(18, true);
  if (machine !== machines[process.arch]) {
    throw refuse(`it is for another processor (ELF machine ${machine}), this one is ${process.arch}`);
  }
  const end = Number(view.getBigUint64(40, true)) + view.getUint16(58, true) * view.getUint16(60, true);
  if (end > size) throw refuse(`it is cut off: it has ${size} of ${end} bytes, install it again`);
  if (pluginKind(path) === "xla-tpu" && !hasDevice("xla-tpu")) {
    throw refuse(
      `this machine shows no TPU (${
        deviceFiles["xla-tpu"].join(", ")
      }), and the library would look for one for minutes`,
    );
  }
}

/** The folder with NVIDIA's tools beside an installed CUDA plugin, if it is there. */
function cudaFolder(plugin: string): string | undefined {
  const folder = join(dirname(plugin), "..", "..", "nvidia", "cu13");
  return existsSync(folder) ? folder : undefined;
}

/** Variables that a plugin's process needs: where its libraries and tools lie. */
export function pluginEnvironment(plugin: string): Readonly<Record<string, string>> {
  switch (pluginKind(plugin)) {
    case "xla-cuda": {
      const folder = cudaFolder(plugin);
      return folder === undefined ? {} : { XLA_FLAGS: `--xla_gpu_cuda_data_dir=${folder}` };
    }
    case "xla-rocm": {
      const root = process.env["ROCM_PATH"] ?? "/opt/rocm";
      const paths = [process.env["LD_LIBRARY_PATH"] ?? "", join(root, "lib")].filter((path) => path !== "");
      return { LD_LIBRARY_PATH: paths.join(":") };
    }
    default:
      return {};
  }
}
