/**
 * Installing tfjs-node: npm fetches the package without its download script (it would fetch a TensorFlow of 2022), pip
 * fetches the wheel of a current TensorFlow by its sha256, its libraries and C headers are unpacked, the addon's two files
 * are compiled against them, the folder is tried in a process of its own and renamed into place. TensorFlow's C interface
 * has kept what the addon uses.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { cacheFolder } from "../../xla/mod.ts";
import type { InstallOptions, Verdict } from "../../xla/mod.ts";
import { fetchWheels } from "../../xla/install.ts";
import type { PinnedWheel } from "../../xla/install.ts";
import { extractAll } from "../../xla/wheel.ts";
import { addonOf, installedFolder, npmVersion, tensorFlowVersion } from "./package.ts";
import type { NodePackage } from "./package.ts";
import { cudaPackages } from "./cuda_packages.ts";

/** Node's own C headers, as an npm package: not every Node brings them. */
const headers = "node-api-headers@1.9.0";

/** The wheels, for Linux on x86-64. */
export const wheels: Readonly<Record<NodePackage, PinnedWheel>> = {
  "tfjs-node": {
    name: "tensorflow-cpu",
    version: tensorFlowVersion,
    pipPlatform: "manylinux_2_27_x86_64",
    wheelSha256: "dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb",
    wheelBytes: 274_000_871,
  },
  "tfjs-node-gpu": {
    name: "tensorflow",
    version: tensorFlowVersion,
    pipPlatform: "manylinux_2_27_x86_64",
    wheelSha256: "b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0",
    wheelBytes: 572_611_111,
    companions: cudaPackages,
  },
};

const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

/** What the addon needs of the wheel: two libraries, and the headers of the C interface with what these include. */
const isNeeded = (name: string): boolean =>
  libraries.some((library) => name === `tensorflow/${library}`) ||
  /^tensorflow\/include\/(tensorflow\/c|tensorflow\/core\/platform|tsl\/platform|xla\/tsl\/c)\/.*\.h$/.test(
    name,
  );

/** What NVIDIA's packages hold that a program needs. */
const isLibrary = (name: string): boolean => !/\.dist-info\/|\/include\/|\.(a|h|hpp|cuh|py|pyi)$/.test(name);

/** Programs that an installation starts; tests give their own. */
export type NodeTools = {
  readonly python: string;
  readonly npm: string;
  /** A C++ compiler that takes GCC's options. */
  readonly compiler: string;
};

const toolsHere = (): NodeTools => ({
  python: "python3",
  npm: "npm",
  compiler: process.env["CXX"] ?? "c++",
});

type Ended = { readonly code: number | null; readonly said: string; readonly wrote: string };

/** Runs a program to its end, or to the end of its time. */
function run(
  program: string,
  args: readonly string[],
  { seconds, signal, env = {} }: {
    readonly seconds: number;
    readonly signal?: AbortSignal | undefined;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let [said, wrote, why] = ["", "", ""];
    const end = (reason: string): void => {
      why = reason;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => end(`it took longer than ${seconds} s`), 1000 * seconds);
    const abort = (): void => end("it was told to stop");
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    const done = (code: number | null, text: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve({ code: why === "" ? code : 1, said: why === "" ? text : why, wrote });
    };
    child.stdout.on("data", (text: Uint8Array) => void (wrote += new TextDecoder().decode(text)));
    child.stderr.on("data", (text: Uint8Array) => void (said += new TextDecoder().decode(text)));
    child.on("error", (error) => done(null, error.message));
    child.on("close", (code) => done(code ?? 1, `${said}${wrote}`));
  });
}

/** The first line that names an error, else the last one. */
function errorLine(said: string): string {
  const lines = said.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return (lines.find((line) => /error|ERR!/i.test(line)) ?? lines.at(-1) ?? "it said nothing").slice(0, 300);
}

async function fetchPackage(name: NodePackage, folder: string, { npm }: NodeTools, signal?: AbortSignal) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ private: true })}\n`);
  const wanted = [`@tensorflow/${name}@${npmVersion}`, headers];
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { code, said } = await run(npm, ["install", "--prefix", folder, ...quiet, ...wanted], {
    seconds: 300,
    signal,
  });
  if (code === null) {
    throw new Error(`npm does not start (${said}): install Node 20 or later, which brings npm`);
  }
  if (code !== 0) throw new Error(`npm cannot fetch ${wanted.join(" and ")}: ${errorLine(said)}`);
}

/** Compiles the addon; its path to TensorFlow's libraries is relative, so that the folder can be renamed. */
export async function buildAddon(
  name: NodePackage,
  folder: string,
  { compiler }: Pick<NodeTools, "compiler">,
  signal?: AbortSignal,
): Promise<void> {
  const npmFolder = join(folder, "node_modules", "@tensorflow", name);
  const apiHeaders = join(folder, "node_modules", "node-api-headers", "include");
  const include = join(folder, "tensorflow", "include");
  for (
    const [file, what] of [
      [join(include, "tensorflow/c/c_api.h"), "TensorFlow's headers"],
      [join(apiHeaders, "node_api.h"), "Node's headers"],
    ] as const
  ) {
    if (!existsSync(file)) throw new Error(`${what} are missing: there is no ${file}`);
  }
  const target = addonOf(npmFolder);
  mkdirSync(join(target, ".."), { recursive: true });
  const { code, said } = await run(compiler, [
    ...["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION"],
    ...["-I", apiHeaders, "-I", include, "-o", target],
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(npmFolder, "binding", file)),
    ...libraries.map((library) => join(folder, "tensorflow", library)),
    "-Wl,-rpath,$ORIGIN/../../../../../tensorflow", // from node_modules/@tensorflow/<name>/lib/napi-v8
  ], { seconds: 300, signal });
  if (code === null) {
    throw new Error(
      `there is no C++ compiler (${compiler}: ${said}): \`apt-get install g++\` brings one on Debian and Ubuntu, or CXX ` +
        "names one",
    );
  }
  if (code !== 0) throw new Error(`${compiler} cannot build the addon: ${errorLine(said)}`);
}

/** The program that tries a package: a product and a sum on TensorFlow. */
const trial = (folder: string): string => `
const util = require("node:util");
util.isNullOrUndefined ??= (x) => x === null || x === undefined;
util.isArray ??= Array.isArray;
const { binding: b } = require(${JSON.stringify(folder)}).backend();
const type = { name: "T", type: b.TF_ATTR_TYPE, value: b.TF_FLOAT };
const flag = (name) => ({ name, type: b.TF_ATTR_BOOL, value: false });
const tensor = (...x) => b.createTensor([2, 2], b.TF_FLOAT, Float32Array.from(x));
const [p] = b.executeOp("MatMul", [type, flag("transpose_a"), flag("transpose_b")], [tensor(1, 2, 3, 4), tensor(5, 6, 7, 8)], 1);
const [y] = b.executeOp("AddV2", [type], [p.id, tensor(1, 1, 1, 1)], 1);
console.log(JSON.stringify({ values: Array.from(b.tensorDataSync(y.id)), version: b.TF_Version, gpu: b.isUsingGpuDevice() }));
`;

/**
 * Tries a package in a process of its own: a library that does not fit ends that process, not this one.
 *
 * @param folder The package's folder.
 * @returns Whether its numbers are right, and on what, or why not.
 * @example
 * ```ts
 * import { testNodePackage } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const { works, reason } = await testNodePackage("/no/such/package");
 * assert.ok(!works && reason.includes("/no/such/package"));
 * ```
 */
export async function testNodePackage(folder: string): Promise<Verdict> {
  mkdirSync(cacheFolder("tfjs"), { recursive: true });
  const scratch = mkdtempSync(join(cacheFolder("tfjs"), "trial-"));
  try {
    const file = join(scratch, "trial.cjs");
    writeFileSync(file, trial(folder));
    const { code, said, wrote } = await run(
      process.execPath,
      process.versions["deno"] === undefined ? [file] : ["run", "-A", "--no-config", file],
      { seconds: 120, env: { TF_FORCE_GPU_ALLOW_GROWTH: "true", TF_CPP_MIN_LOG_LEVEL: "2" } },
    );
    if (code !== 0) return { works: false, reason: errorLine(said) };
    const { values, version, gpu } = JSON.parse(wrote.trim().split("\n").at(-1) ?? "") as {
      readonly values: readonly number[];
      readonly version: string;
      readonly gpu: boolean;
    };
    if (values.join() !== "20,23,44,51") {
      return { works: false, reason: `it computed ${values.join(", ")}, expected 20, 23, 44, 51` };
    }
    return { works: true, reason: `TensorFlow ${version} on ${gpu ? "a GPU" : "the processor"}` };
  } catch (error) {
    return { works: false, reason: (error as Error).message };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Installs with given programs. */
export async function installNodeWith(
  name: NodePackage,
  tools: NodeTools,
  options: InstallOptions = {},
): Promise<{ readonly folder: string; readonly verdict: Verdict }> {
  const { onProgress, signal } = options;
  const place = installedFolder(name);
  const inside = join("node_modules", "@tensorflow", name);
  if (existsSync(addonOf(join(place, inside)))) {
    return { folder: join(place, inside), verdict: await testNodePackage(join(place, inside)) };
  }
  mkdirSync(cacheFolder("tfjs"), { recursive: true });
  const folder = mkdtempSync(join(cacheFolder("tfjs"), "build-"));
  const fetched = mkdtempSync(join(cacheFolder("tfjs"), "fetch-"));
  const tell = (stage: string, done: number): void =>
    onProgress?.({ stage, done, total: 1, unit: "packages", note: name });
  try {
    // What is missing most often is asked for first, before some hundred megabytes are fetched.
    const { code, said } = await run(tools.compiler, ["--version"], { seconds: 30, signal });
    if (code !== 0) {
      throw new Error(
        `there is no C++ compiler (${tools.compiler}: ${
          errorLine(said)
        }): \`apt-get install g++\` brings one on Debian ` +
          "and Ubuntu, or CXX names one",
      );
    }
    tell("fetch the npm package", 0);
    await fetchPackage(name, folder, tools, signal);
    const [wheel, ...others] = await fetchWheels(wheels[name], fetched, { ...options, python: tools.python });
    tell("unpack", 0);
    await extractAll(wheel as string, folder, isNeeded);
    for (const other of others) await extractAll(other, folder, isLibrary);
    tell("build the addon", 0);
    await buildAddon(name, folder, tools, signal);
    tell("test", 0);
    const verdict = await testNodePackage(join(folder, inside));
    tell("test", 1);
    if (!verdict.works) throw new Error(`what was built fails its test: ${verdict.reason}`);
    rmSync(join(folder, "tensorflow", "include"), { recursive: true, force: true });
    rmSync(place, { recursive: true, force: true }); // what lay there had no addon
    renameSync(folder, place);
    return { folder: join(place, inside), verdict };
  } catch (error) {
    throw new Error(`Cannot install ${name}: ${(error as Error).message}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(fetched, { recursive: true, force: true });
  }
}

/**
 * Builds tfjs-node, or its form for NVIDIA's GPUs, against a current TensorFlow, in the user's cache folder. It needs
 * Linux on x86-64, npm, Python with pip, a C++ compiler, and 1 GB of disk (the GPU's form some 6 GB).
 *
 * @param name Which of the two.
 * @param options Progress, patience, signal.
 * @returns The package's folder, and what its test found.
 * @throws {Error} When a piece is missing: the message names it and the command that brings it.
 * @example
 * ```ts
 * import { installTfjsNode } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(typeof installTfjsNode, "function"); // installTfjsNode("tfjs-node") would fetch 300 MB
 * ```
 */
export async function installTfjsNode(
  name: NodePackage,
  options: InstallOptions = {},
): Promise<{ readonly folder: string; readonly verdict: Verdict }> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `Cannot install ${name}: it is built for Linux on x64, this is ${process.platform} on ${process.arch}; ` +
        `\`npm install @tensorflow/${name}\` may bring one that works here`,
    );
  }
  return await installNodeWith(name, toolsHere(), options);
}
