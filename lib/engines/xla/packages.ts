/**
 * The PJRT plugins that can be fetched: Python packages with one shared library each, by exact version, with the sha256
 * of the wheel and of the library in it. Three packages hold XLA's CPU compiler, so one may vanish. What NVIDIA's
 * libraries are called and wanted in is the metadata of jax-cuda13-plugin; they lie in `nvidia_packages.ts`.
 */
import { nvidiaPackages } from "./nvidia_packages.ts";

/** A wheel that a plugin needs beside it, unpacked as a whole. */
export type Companion = {
  readonly name: string;
  readonly version: string;
  /** Of the wheel. */
  readonly sha256: string;
};

/** A package with a plugin. */
export type PluginPackage = {
  /** What it runs on. */
  readonly plugin: PluginName;
  /** Name and version in the Python package index. */
  readonly name: string;
  readonly version: string;
  /** `process.platform` and `process.arch` that it runs on. */
  readonly platform: string;
  readonly arch: string;
  /** pip's name of that platform. */
  readonly pipPlatform: string;
  readonly wheelSha256: string;
  readonly wheelBytes: number;
  /** The library in the wheel. */
  readonly member: string;
  readonly memberSha256: string;
  readonly memberBytes: number;
  readonly license: string;
  /** What must lie beside it; the library then keeps its place inside the wheel, because it looks for them from there. */
  readonly companions?: readonly Companion[];
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
export type PluginName = "xla-cpu" | "xla-cuda" | "xla-rocm" | "xla-tpu";

const manylinux = "manylinux_2_27_x86_64";

/** Packages with XLA's CPU compiler, the best first. */
const cpuPackages: readonly PluginPackage[] = [
  {
    plugin: "xla-cpu",
    name: "lammps-jax-pjrt-cpu",
    version: "0.11.2",
    platform: "linux",
    arch: "x64",
    pipPlatform: manylinux,
    wheelSha256: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1",
    wheelBytes: 62_711_338,
    member: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
    memberSha256: "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2",
    memberBytes: 201_600_336,
    license: "Apache-2.0",
  },
  {
    plugin: "xla-cpu",
    name: "fastatomstruct-xla-cpu",
    version: "2026.6.23",
    platform: "linux",
    arch: "x64",
    pipPlatform: manylinux,
    wheelSha256: "88b1c430b341b4bea40a37420311c9c75db6e22b46d2ff95b6986577bee6afe9",
    wheelBytes: 63_200_622,
    member: "fastatomstruct_xla_cpu/libpjrt_cpu.so",
    memberSha256: "0a0fe56ca17be9efc7b942e89e534e5e0ad4a0f1e369b66d27b62184509015b9",
    memberBytes: 273_768_800,
    license: "Apache-2.0",
  },
  {
    plugin: "xla-cpu",
    name: "xla-cpu-pjrt",
    version: "0.0.1",
    platform: "linux",
    arch: "x64",
    pipPlatform: manylinux,
    wheelSha256: "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
    wheelBytes: 63_461_052,
    member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
    memberSha256: "88c3f28c5900f48ad4a82cab9e79bba9537809743395e341485f8794268820dc",
    memberBytes: 259_284_552,
    license: "not stated by the package; XLA is Apache-2.0",
  },
  {
    plugin: "xla-cpu",
    name: "xla-cpu-pjrt",
    version: "0.0.1",
    platform: "linux",
    arch: "arm64",
    pipPlatform: "manylinux_2_27_aarch64",
    wheelSha256: "8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9",
    wheelBytes: 49_514_947,
    member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
    memberSha256: "fcf411f3e8ff635c2b2cf87215aa7016f460e66d236c3db08309e7486583532d",
    memberBytes: 200_328_224,
    license: "not stated by the package; XLA is Apache-2.0",
  },
];

/** Packages for accelerators. Nobody ran them on one yet: they load, and say that there is no device. */
const acceleratorPackages: readonly PluginPackage[] = [
  {
    plugin: "xla-cuda",
    name: "jax-cuda13-pjrt",
    version: "0.12.0.1",
    platform: "linux",
    arch: "x64",
    pipPlatform: manylinux,
    wheelSha256: "5899bb6177eda86ea532afb9a26794f2bdd04966f6a01f9028266b16c2b6cf90",
    wheelBytes: 134_922_808,
    member: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
    memberSha256: "b6de513893c09af2c77e71afcef46d9706f8c259337cdef4cd5cae2353886f75",
    memberBytes: 395_967_648,
    license: "Apache-2.0; the nvidia-* packages: NVIDIA's own terms",
    companions: nvidiaPackages,
  },
  {
    plugin: "xla-rocm",
    name: "jax-rocm7-pjrt",
    version: "0.12.0",
    platform: "linux",
    arch: "x64",
    pipPlatform: manylinux,
    wheelSha256: "4551d0714523355f2946ca1958c3f584e95661e467a641d36b726f718a1c7934",
    wheelBytes: 133_415_872,
    member: "jax_plugins/xla_rocm7/xla_rocm_plugin.so",
    memberSha256: "6e7239347f37f1a5a17c2a2d9301411f9f17e30e0707a717f4717556fa402511",
    memberBytes: 459_001_112,
    license: "Apache-2.0",
  },
  {
    plugin: "xla-tpu",
    name: "libtpu",
    version: "0.0.52",
    platform: "linux",
    arch: "x64",
    pipPlatform: "manylinux_2_31_x86_64",
    wheelSha256: "f76ab1f4d697c346371c50058796f6baa93317b89be8cf8a1012715a2655120d",
    wheelBytes: 137_064_515,
    member: "libtpu/libtpu.so",
    memberSha256: "f86de4d04a058e6b5101f73e0824b95f27e2cec996d2b9191d9cffda75c03077",
    memberBytes: 467_479_448,
    license: "Google Cloud Platform Terms of Service, not open source",
  },
];

/** All known packages. */
export const pluginPackages: readonly PluginPackage[] = [...cpuPackages, ...acceleratorPackages];

/** The packages of a plugin for this machine, the best first. */
export function packagesHere(
  name: PluginName,
  { platform, arch }: { readonly platform: string; readonly arch: string },
): readonly PluginPackage[] {
  return pluginPackages.filter((each) =>
    each.plugin === name && each.platform === platform && each.arch === arch
  );
}
