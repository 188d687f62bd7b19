/**
 * Installing tfjs-node: npm fetches the package without its download script (it would fetch a TensorFlow of 2022), pip
 * fetches the wheel of a current TensorFlow by its sha256, its libraries and C headers are unpacked, the addon
 * is compiled against them (build.ts), the folder is tried in a process of its own and renamed into place. TensorFlow's C interface
 * has kept what the addon uses.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { cacheFolder } from "../../xla/mod.ts";
import type { InstallOptions, Verdict } from "../../xla/mod.ts";
import { fetchWheels } from "../../xla/install.ts";
import type { PinnedWheel } from "../../xla/install.ts";
import { extractAll } from "../../xla/wheel.ts";
import { buildAddon, libraries } from "./build.ts";
import { addonOf, installedFolder, npmVersion, tensorFlowVersion } from "./package.ts";
import type { NodePackage } from "./package.ts";
import { cudaPackages } from "./cuda_packages.ts";
import type { NodeTools } from "./programs.ts";
import { errorLine, run, toolsHere } from "./programs.ts";
import { testNodePackage } from "./trial.ts";

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

/** What the addon needs of the wheel: two libraries, and the headers of the C interface with what these include. */
const isNeeded = (name: string): boolean =>
  libraries.some((library) => name === `tensorflow/${library}`) ||
  /^tensorflow\/include\/(tensorflow\/c|tensorflow\/core\/platform|tsl\/platform|xla\/tsl\/c)\/.*\.h$/.test(
    name,
  );

/** What NVIDIA's packages hold that a program needs. */
const isLibrary = (name: string): boolean => !/\.dist-info\/|\/include\/|\.(a|h|hpp|cuh|py|pyi)$/.test(name);

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

/** What brings the pieces that pip's part of an installation misses. */
function remedyFor(message: string): string {
  if (/No module named pip|python3? does not start/.test(message)) {
    return "; `apt-get install python3-pip` brings Python and pip on Debian and Ubuntu";
  }
  return "";
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
    const { message } = error as Error;
    throw new Error(`Cannot install ${name}: ${message}${remedyFor(message)}`, { cause: error });
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
