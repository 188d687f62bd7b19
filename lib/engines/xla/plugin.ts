/**
 * Finding and installing a PJRT plugin. A plugin is a shared library of some 200 MB that comes in a Python wheel; pip
 * fetches the wheel by name and version, its sha256 and that of the library are checked, and only the library is
 * unpacked into the user's cache folder. Beside it lies a note with its sum. Nothing is fetched unless asked for.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { CorruptFileError, writeFileAtomic } from "../../formats/mod.ts";
import type { OnProgress } from "../../progress.ts";
import { packagesHere } from "./packages.ts";
import type { PluginName, PluginPackage } from "./packages.ts";
import { extractMember } from "./wheel.ts";

/** A folder of this library in the user's cache: XDG_CACHE_HOME or ~/.cache. */
export function cacheFolder(part: string): string {
  const base = process.env["XDG_CACHE_HOME"];
  const root = base === undefined || base === "" ? join(homedir(), ".cache") : base;
  return join(root, "albert-guide", part);
}

/** Where a package's library lies once it is installed. */
export function installedPath({ name, version }: PluginPackage): string {
  return join(cacheFolder("plugins"), `${name}-${version}`, "plugin.so");
}

/**
 * The plugin that the engine `xla` would use.
 *
 * @returns The path in the environment variable ALBERT_PJRT_PLUGIN, else that of the installed plugin, else undefined.
 * @example
 * ```ts
 * import { findPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const path = findPlugin();
 * assert.ok(path === undefined || path.length > 0);
 * ```
 */
export function findPlugin(): string | undefined {
  const given = process.env["ALBERT_PJRT_PLUGIN"];
  if (given !== undefined && given !== "") return given;
  return packagesHere(process).map(installedPath).find((path) => existsSync(path));
}

const machines: Readonly<Record<string, number>> = { x64: 0x3e, arm64: 0xb7 };

/**
 * Refuses a file that is no shared library for this machine or is cut off, before anything loads it.
 *
 * @throws {Error} Naming the file and what is wrong with it.
 */
export function checkLibrary(path: string): void {
  const refuse = (reason: string): Error => new Error(`Cannot use the plugin ${path}: ${reason}`);
  if (!existsSync(path)) throw refuse("there is no such file");
  const { size } = statSync(path);
  const head = new Uint8Array(64);
  const file = openSync(path, "r");
  try {
    readSync(file, head, 0, head.length, 0);
  } catch {
    throw refuse("it is no file");
  } finally {
    closeSync(file);
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
}

function runPip(args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  return new Promise((resolve) => {
    const child = spawn("python3", ["-m", "pip", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const add = (text: Uint8Array): void =>
      void (said = (said + new TextDecoder().decode(text)).slice(-2000));
    child.stdout.on("data", add);
    child.stderr.on("data", add);
    child.on("error", (error) => resolve({ code: null, said: error.message }));
    child.on("close", (code) => resolve({ code, said: said.trim() }));
  });
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Fetches one package's wheel into a folder; undefined with the reason when pip cannot. */
async function fetchWheel(each: PluginPackage, folder: string): Promise<string> {
  const { name, version, pipPlatform, wheelSha256 } = each;
  const { code, said } = await runPip([
    ...["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"],
    ...["--platform", pipPlatform, "--dest", folder, `${name}==${version}`],
  ]);
  if (code === null) throw new Error(`python3 does not start (${said})`);
  if (code !== 0) throw new Error(`pip cannot fetch ${name} ${version}: ${said}`);
  const wheel = readdirSync(folder).find((file) => file.endsWith(".whl"));
  if (wheel === undefined) throw new Error(`pip fetched no wheel of ${name} ${version}`);
  const path = join(folder, wheel);
  const sum = await sha256Of(path);
  if (sum !== wheelSha256) {
    throw new CorruptFileError(`the wheel of ${name} ${version} has sha256 ${sum}, expected ${wheelSha256}`, {
      path,
    });
  }
  return path;
}

/** Unpacks the library of a wheel to its place. */
export async function unpackPlugin(
  each: PluginPackage,
  wheel: string,
  onProgress?: OnProgress,
): Promise<string> {
  const target = installedPath(each);
  mkdirSync(join(target, ".."), { recursive: true });
  const temporary = `${target}.tmp-${process.pid}`;
  try {
    const sum = await extractMember(
      wheel,
      each.member,
      temporary,
      (done, total) => onProgress?.({ stage: "unpack", done, total, unit: "bytes" }),
    );
    if (sum !== each.memberSha256) {
      throw new CorruptFileError(
        `Cannot install ${each.name}: its library has sha256 ${sum}, expected ${each.memberSha256}`,
        { path: wheel },
      );
    }
    writeFileAtomic(
      `${target}.json`,
      `${
        JSON.stringify({ package: each.name, version: each.version, sha256: sum, bytes: each.memberBytes })
      }\n`,
    );
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
  return target;
}

/** Whether a library lies in its place, whole: of the size and sum that its note and the table of packages say. */
function isInstalled(each: PluginPackage): boolean {
  const path = installedPath(each);
  try {
    const note = JSON.parse(readFileSync(`${path}.json`, "utf8")) as { sha256?: string };
    return note.sha256 === each.memberSha256 && statSync(path).size === each.memberBytes;
  } catch {
    return false;
  }
}

/**
 * Options of `installPlugin`.
 *
 * @example
 * ```ts
 * import type { InstallOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seen: string[] = [];
 * const options: InstallOptions = { onProgress: ({ stage }) => void seen.push(stage) };
 * options.onProgress?.({ stage: "unpack", done: 1, total: 2, unit: "bytes" });
 * assert.deepEqual(seen, ["unpack"]);
 * ```
 */
export type InstallOptions = {
  /** Called at each stage, and often while unpacking. */
  readonly onProgress?: OnProgress;
};

/**
 * Fetches a PJRT plugin with pip (about 60 MB) and unpacks its library (about 200 MB) into the user's cache folder.
 * Known packages are tried in order until one can be had; a plugin that is there already is kept.
 *
 * @param name `"xla-cpu"`.
 * @param options Progress.
 * @returns The library's path.
 * @throws {Error} When no package is known for this machine, or none can be fetched: the message tells why for each.
 * @example
 * ```ts
 * import { installPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(typeof installPlugin, "function"); // installPlugin("xla-cpu") would fetch 60 MB
 * ```
 */
export async function installPlugin(name: PluginName, { onProgress }: InstallOptions = {}): Promise<string> {
  const known = packagesHere(process);
  if (known.length === 0) {
    throw new Error(
      `Cannot install ${name}: no package is known for ${process.platform} on ${process.arch}, use another engine`,
    );
  }
  const there = known.find(isInstalled);
  if (there !== undefined) return installedPath(there);
  const reasons: string[] = [];
  for (const each of known) {
    const folder = mkdtempSync(join(tmpdir(), "albert-plugin-"));
    try {
      onProgress?.({ stage: "download", done: 0, unit: "packages", note: `${each.name} ${each.version}` });
      const wheel = await fetchWheel(each, folder);
      return await unpackPlugin(each, wheel, onProgress);
    } catch (error) {
      reasons.push((error as Error).message);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  throw new Error(`Cannot install ${name}: ${reasons.join("; ")}`);
}
