/**
 * The reference engine: the oracle of every test, and the loops that other engines fall back on.
 *
 * @module
 */
export { hostKernels, referenceEngine } from "./engine.ts";
export type { HostKernels } from "./engine.ts";
export type { Values } from "./values.ts";
