/**
 * The engine on TensorFlow.js.
 *
 * @module
 */
export { tfjsEngine } from "./engine.ts";
export type { TfjsOptions } from "./engine.ts";
export { installTfjsNode } from "./node/install.ts";
export { portableVersion } from "./backend.ts";
export { findNodePackage, nodePackageVersion } from "./node/package.ts";
export type { NodePackage } from "./node/package.ts";
export { testNodePackage } from "./node/trial.ts";
export { webgpuAdapterName } from "./webgpu.ts";
