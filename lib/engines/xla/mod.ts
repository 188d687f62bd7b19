/**
 * The XLA engine: StableHLO text, compiled and run by a PJRT plugin in a process of its own.
 *
 * @module
 */
export { xlaEngine } from "./engine.ts";
export type { XlaOptions } from "./engine.ts";
export type { PluginName } from "./packages.ts";
export { XlaError } from "./pjrt_api.ts";
export { findPlugin, installPlugin } from "./plugin.ts";
export type { InstallOptions } from "./plugin.ts";
export { testPlugin } from "./self_test.ts";
export type { Verdict } from "./self_test.ts";
