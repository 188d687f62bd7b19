/**
 * The PJRT plugins that can be fetched: Python packages with one shared library each, by exact version, with the sha256
 * of the wheel and of the library in it. Three packages hold XLA's CPU compiler, so one may vanish.
 */

/** A package with a plugin. */
export type PluginPackage = {
  /** Name and version in the Python package index. */
  readonly name: string;
  readonly version: string;
  /** `process.platform` and `process.arch` that it runs on. */
  readonly platform: string;
  readonly arch: string;
  /** pip's name of that platform. */
  readonly pipPlatform: string;
  readonly wheelSha256: string;
  /** The library in the wheel. */
  readonly member: string;
  readonly memberSha256: string;
  readonly memberBytes: number;
  readonly license: string;
};

/**
 * What can be installed: the plugins by what they run on.
 *
 * @example
 * ```ts
 * import type { PluginName } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const name: PluginName = "xla-cpu";
 * assert.ok(name.startsWith("xla-"));
 * ```
 */
export type PluginName = "xla-cpu";

/** Packages with XLA's CPU compiler, the best first. */
export const cpuPackages: readonly PluginPackage[] = [
  {
    name: "lammps-jax-pjrt-cpu",
    version: "0.11.2",
    platform: "linux",
    arch: "x64",
    pipPlatform: "manylinux_2_27_x86_64",
    wheelSha256: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
    member: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
    memberSha256: "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
    memberBytes: 201_600_336,
    license: "Apache-2.0",
  },
  {
    name: "fastatomstruct-xla-cpu",
    version: "2026.6.23",
    platform: "linux",
    arch: "x64",
    pipPlatform: "manylinux_2_27_x86_64",
    wheelSha256: "88b1c430b341b4bea40a37420311c9c75db6e22b46d2ff95b6986577bee6afe9",
    member: "fastatomstruct_xla_cpu/libpjrt_cpu.so",
    memberSha256: "0a0fe56ca17be9efc7b942e89e534e5e0ad4a0f1e369b66d27b62184509015b9",
    memberBytes: 273_768_800,
    license: "Apache-2.0",
  },
  {
    name: "xla-cpu-pjrt",
    version: "0.0.1",
    platform: "linux",
    arch: "x64",
    pipPlatform: "manylinux_2_27_x86_64",
    wheelSha256: "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
    member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
    memberSha256: "88c3f28c5900f48ad4a82cab9e79bba9537809743395e341485f8794268820dc",
    memberBytes: 259_284_552,
    license: "not stated by the package; XLA is Apache-2.0",
  },
  {
    name: "xla-cpu-pjrt",
    version: "0.0.1",
    platform: "linux",
    arch: "arm64",
    pipPlatform: "manylinux_2_27_aarch64",
    wheelSha256: "8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9",
    member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
    memberSha256: "fcf411f3e8ff635c2b2cf87215aa7016f460e66d236c3db08309e7486583532d",
    memberBytes: 200_328_224,
    license: "not stated by the package; XLA is Apache-2.0",
  },
];

/** The packages for this machine, the best first. */
export function packagesHere(
  { platform, arch }: { readonly platform: string; readonly arch: string },
): readonly PluginPackage[] {
  return cpuPackages.filter((each) => each.platform === platform && each.arch === arch);
}
