/**
 * Installing a PJRT plugin: pip fetches its wheel, and those that must lie beside it, by name, version and sha256; the
 * sums are checked again, only the libraries are unpacked into the user's cache folder, the folder is renamed into place,
 * and the plugin is tried in a process of its own. Nothing is fetched unless asked for, and never for longer than allowed.
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
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { CorruptFileError, writeFileAtomic } from "../../formats/mod.ts";
import type { OnProgress } from "../../progress.ts";
import { packagesHere } from "./packages.ts";
import type { PluginName, PluginPackage } from "./packages.ts";
import { cacheFolder, findPlugin, installedPath, packageFolder, pluginsAreOff } from "./plugin.ts";
import { fileSha256 } from "./plugin_sum.ts";
import { testPlugin } from "./self_test.ts";
import type { Verdict } from "./self_test.ts";
import { extractAll, extractMember } from "./wheel.ts";

/**
 * Options of `installPlugin` and `ensurePlugin`.
 *
 * @example
 * ```ts
 * import type { InstallOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seen: string[] = [];
 * const options: InstallOptions = { stallSeconds: 20, onProgress: ({ stage }) => void seen.push(stage) };
 * options.onProgress?.({ stage: "unpack", done: 1, total: 2, unit: "bytes" });
 * assert.deepEqual(seen, ["unpack"]);
 * ```
 */
export type InstallOptions = {
  /** Called at each stage, and often while fetching and unpacking. */
  readonly onProgress?: OnProgress;
  /** Seconds without a byte after which a package is given up, default 60. */
  readonly stallSeconds?: number;
  /** Ends the fetching. */
  readonly signal?: AbortSignal;
};

/** What `installFrom` needs of its surroundings; tests give their own. */
export type InstallTools = {
  /** A Python with pip. */
  readonly python: string;
  /** Tries an unpacked plugin. */
  readonly verify: (path: string) => Promise<Verdict>;
};

const tools: InstallTools = { python: "python3", verify: testPlugin };

/** Bytes of all files in a folder. */
function bytesIn(folder: string): number {
  let sum = 0;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      sum += entry.isDirectory() ? bytesIn(path) : statSync(path).size;
    }
  } catch {
    // pip renames and removes meanwhile: the next look counts again.
  }
  return sum;
}

/** The line of pip's words that says most. */
function reasonOf(said: string): string {
  const lines = said.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const error = lines.filter((line) => line.startsWith("ERROR")).pop() ?? lines.pop() ?? "it said nothing";
  return `${error.slice(0, 300)}${/Retrying/.test(said) ? " (the package index does not answer)" : ""}`;
}

type PipOptions = InstallOptions & {
  readonly python: string;
  readonly folder: string;
  readonly note: string;
  readonly total: number | undefined;
};

/** Runs pip; its files in progress lie in the folder, whose bytes are the progress. */
function runPip(
  args: readonly string[],
  { python, folder, note, total, onProgress, stallSeconds = 60, signal }: PipOptions,
): Promise<{ readonly code: number | null; readonly said: string }> {
  const temporary = join(folder, "partial");
  mkdirSync(temporary, { recursive: true });
  return new Promise((resolve) => {
    const child = spawn(python, ["-m", "pip", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: temporary },
    });
    let [said, bytes, grew, why] = ["", 0, Date.now(), ""];
    const add = (text: Uint8Array): void =>
      void (said = (said + new TextDecoder().decode(text)).slice(-2000));
    const end = (reason: string): void => {
      why = reason;
      child.kill("SIGKILL");
    };
    const abort = (): void => end("it was told to stop");
    const look = setInterval(() => {
      const now = bytesIn(folder);
      if (now !== bytes) [bytes, grew] = [now, Date.now()];
      else if (Date.now() - grew > 1000 * stallSeconds) end(`nothing arrived for ${stallSeconds} s`);
      onProgress?.({
        stage: "download",
        done: Math.min(bytes, total ?? Infinity),
        ...(total === undefined ? {} : { total }),
        unit: "bytes",
        note,
      });
    }, 250);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    const done = (code: number | null, text: string): void => {
      clearInterval(look);
      signal?.removeEventListener("abort", abort);
      resolve(why === "" ? { code, said: text } : { code: 1, said: why });
    };
    child.stdout.on("data", add);
    child.stderr.on("data", add);
    child.on("error", (error) => done(null, error.message));
    child.on("close", (code) => done(code ?? 1, reasonOf(said)));
  });
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Platforms of NVIDIA's wheels; pip takes each name literally. */
const olderPlatforms = [
  ...["manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_5", "manylinux_2_12", "manylinux_2_17"],
  ...["manylinux_2_24", "manylinux_2_25", "manylinux_2_28"],
];

/** What must be known of a wheel that pip fetches. */
export type PinnedWheel = Pick<
  PluginPackage,
  "name" | "version" | "pipPlatform" | "wheelSha256" | "wheelBytes" | "companions"
>;

/** Fetches the wheels of a package into a folder: its own first. */
export async function fetchWheels(
  each: PinnedWheel,
  folder: string,
  options: InstallOptions & Pick<InstallTools, "python">,
): Promise<readonly string[]> {
  const { name, version, pipPlatform, wheelSha256, wheelBytes, companions = [] } = each;
  const wanted = [{ name, version, sha256: wheelSha256 }, ...companions];
  const list = join(folder, "requirements.txt");
  writeFileSync(
    list,
    wanted.map((one) => `${one.name}==${one.version} --hash=sha256:${one.sha256}\n`).join(""),
  );
  const older = companions.length === 0 ? [] : olderPlatforms.map((one) => `${one}_x86_64`);
  const { code, said } = await runPip([
    ...["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-deps"],
    ...["--timeout", "15", "--retries", "1", "--only-binary=:all:", "--python-version", "3.12"],
    ...[pipPlatform, ...older].flatMap((platform) => ["--platform", platform]),
    ...["--require-hashes", "--dest", folder, "-r", list],
  ], {
    ...options,
    folder,
    note: `${name} ${version}`,
    total: companions.length === 0 ? wheelBytes : undefined,
  });
  if (code === null) throw new Error(`python3 does not start (${said})`);
  if (code !== 0) throw new Error(`pip cannot fetch ${name} ${version}: ${said}`);
  const wheels = readdirSync(folder).filter((file) => file.endsWith(".whl")).map((file) =>
    join(folder, file)
  );
  const stem = `${name.replaceAll("-", "_")}-${version}-`;
  const own = wheels.find((path) => path.split("/").pop()?.startsWith(stem) === true);
  if (own === undefined) throw new Error(`pip fetched no wheel of ${name} ${version}`);
  const sum = await sha256Of(own);
  if (sum !== wheelSha256) {
    throw new CorruptFileError(`the wheel of ${name} ${version} has sha256 ${sum}, expected ${wheelSha256}`, {
      path: own,
    });
  }
  return [own, ...wheels.filter((path) => path !== own)];
}

/** What NVIDIA's tools need of a wheel: no headers, no static libraries. */
const isNeeded = (name: string): boolean =>
  !/\.dist-info\/|\/include\/|\.(a|h|hpp|cuh|py|pyi|pxd)$/.test(name);

/** Unpacks the library of a package, and what must lie beside it, to its place. */
export async function unpackPlugin(
  each: PluginPackage,
  [wheel, ...others]: readonly string[],
  onProgress?: OnProgress,
): Promise<string> {
  if (wheel === undefined) throw new TypeError(`Cannot unpack ${each.name}: no wheel is given`);
  const place = packageFolder(each);
  const target = installedPath(each);
  const temporary = `${place}.tmp-${process.pid}`;
  const library = temporary + target.slice(place.length);
  try {
    mkdirSync(dirname(library), { recursive: true });
    const sum = await extractMember(
      wheel,
      each.member,
      library,
      (done, total) => onProgress?.({ stage: "unpack", done, total, unit: "bytes" }),
    );
    if (sum !== each.memberSha256) {
      throw new CorruptFileError(
        `Cannot install ${each.name}: its library has sha256 ${sum}, expected ${each.memberSha256}`,
        { path: wheel },
      );
    }
    for (const [i, other] of others.entries()) {
      onProgress?.({ stage: "unpack libraries", done: i, total: others.length, unit: "packages" });
      await extractAll(other, temporary, isNeeded);
    }
    const note = { package: each.name, version: each.version, sha256: sum, bytes: each.memberBytes };
    writeFileAtomic(`${library}.json`, `${JSON.stringify(note)}\n`);
    // What lay there is not whole, or it would have been kept.
    rmSync(place, { recursive: true, force: true });
    renameSync(temporary, place);
  } catch (error) {
    // Another process may have been as quick.
    if (!isInstalled(each)) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return target;
}

/** Whether a library lies in its place, whole: of the size and sum that the table of packages says. */
function isInstalled(each: PluginPackage): boolean {
  const path = installedPath(each);
  try {
    return existsSync(`${path}.json`) && statSync(path).size === each.memberBytes &&
      fileSha256(path) === each.memberSha256;
  } catch {
    return false;
  }
}

/** Tries packages in order until one is fetched, unpacked and, for the processor, computes rightly. */
export async function installFrom(
  name: PluginName,
  known: readonly PluginPackage[],
  options: InstallOptions & InstallTools,
): Promise<string> {
  const { onProgress, signal, verify } = options;
  const there = known.find(isInstalled);
  if (there !== undefined) return installedPath(there);
  const reasons: string[] = [];
  mkdirSync(cacheFolder("plugins"), { recursive: true });
  for (const each of known) {
    const folder = mkdtempSync(join(cacheFolder("plugins"), "fetch-")); // the system's own may be small
    try {
      onProgress?.({ stage: "download", done: 0, unit: "bytes", note: `${each.name} ${each.version}` });
      const path = await unpackPlugin(each, await fetchWheels(each, folder, options), onProgress);
      if (name !== "xla-cpu") return path; // it may be right and only lack its device
      onProgress?.({ stage: "test", done: 0, unit: "plugins", note: each.name });
      const { works, reason } = await verify(path);
      onProgress?.({ stage: "test", done: 1, total: 1, unit: "plugins", note: each.name });
      if (works) return path;
      rmSync(packageFolder(each), { recursive: true, force: true });
      reasons.push(`${each.name} ${each.version} fails its test: ${reason}`);
    } catch (error) {
      reasons.push((error as Error).message);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    if (signal?.aborted === true) break;
  }
  throw new Error(`Cannot install ${name}: ${reasons.join("; ")}`);
}

/**
 * Fetches a PJRT plugin with pip and unpacks its library into the user's cache folder. For the processor (60 MB, 200 MB
 * unpacked) the known packages are tried in order until one passes its test; a plugin that is there already is kept.
 *
 * @param name `"xla-cpu"`; `"xla-cuda"` with NVIDIA's libraries, some 2 GB; `"xla-rocm"`, which needs ROCm 7 on the machine;
 * `"xla-tpu"`, under Google's terms.
 * @param options Progress, patience, signal.
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
export async function installPlugin(name: PluginName, options: InstallOptions = {}): Promise<string> {
  const known = packagesHere(name, process);
  if (known.length === 0) {
    throw new Error(
      `Cannot install ${name}: no package is known for ${process.platform} on ${process.arch}, use another engine`,
    );
  }
  return await installFrom(name, known, { ...tools, ...options });
}

/**
 * What `ensurePlugin` found or did.
 *
 * @example
 * ```ts
 * import type { EnsuredPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const ensured: EnsuredPlugin = { path: undefined, note: "no XLA plugin is known for darwin on arm64" };
 * assert.equal(ensured.path, undefined);
 * ```
 */
export type EnsuredPlugin = {
  /** The plugin, if there is one now. */
  readonly path: string | undefined;
  /** What was done, or why there is none: one line. */
  readonly note: string;
};

/** Two minutes: 60 MB on a slow line, and an end where nothing answers. */
const ensureSeconds = 120;

/**
 * Sees to it that XLA's plugin for the processor is there: keeps an installed one, else installs it where Python with pip
 * is at hand. It never fails: without a plugin the reason is told, and other engines do the work.
 *
 * @param options Progress, patience (default 20 seconds without a byte; two minutes in all), signal.
 * @returns The plugin's path, if any, and one line about it.
 * @example
 * ```ts
 * import { ensurePlugin, findPlugin } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * if (findPlugin() !== undefined) { // else it would fetch 60 MB
 *   const { path, note } = await ensurePlugin();
 *   assert.ok(path !== undefined && note !== "");
 * }
 * ```
 */
export async function ensurePlugin(options: InstallOptions = {}): Promise<EnsuredPlugin> {
  if (pluginsAreOff()) return { path: undefined, note: "XLA is left out: ALBERT_PJRT_PLUGIN is none" };
  const there = findPlugin();
  if (there !== undefined && existsSync(there)) return { path: there, note: `XLA's plugin is ${there}` };
  if (packagesHere("xla-cpu", process).length === 0) {
    const here = `${process.platform} on ${process.arch}`;
    return { path: undefined, note: `XLA is left out: no plugin is known for ${here}` };
  }
  const limit = new AbortController();
  const end = (): void => limit.abort();
  const timer = setTimeout(end, 1000 * ensureSeconds);
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    const path = await installPlugin("xla-cpu", { stallSeconds: 20, ...options, signal: limit.signal });
    return { path, note: `XLA's plugin was installed: ${path}` };
  } catch (error) {
    const reason = (error as Error).message.split("; ")[0] ?? ""; // of the first package
    return { path: undefined, note: `XLA is left out: ${reason}` };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", end);
  }
}
