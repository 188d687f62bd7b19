/**
 * The engine on TensorFlow.js.
 *
 * @module
 */
export { tfjsEngine } from "./engine.ts";
export type { TfjsOptions } from "./engine.ts";
