/**
 * The engine on TensorFlow.js.
 *
 * @module
 */
export { tfjsEngine } from "./engine.ts";
export type { TfjsOptions } from "./engine.ts";
export { installTfjsNode, testNodePackage } from "./node/install.ts";
export { findNodePackage } from "./node/package.ts";
export type { NodePackage } from "./node/package.ts";
