/**
 * The XLA engine: StableHLO text, compiled and run by a PJRT plugin in a process of its own.
 *
 * @module
 */
export { usableProcessors, xlaEngine } from "./engine.ts";
export type { XlaOptions } from "./engine.ts";
export type { PluginName } from "./packages.ts";
export { XlaError } from "./pjrt_api.ts";
export { stableHlo } from "./explain.ts";
export { ensurePlugin, installPlugin } from "./install.ts";
export type { EnsuredPlugin, InstallOptions } from "./install.ts";
export { cacheFolder, findPlugin, hasDevice, pluginKind, pluginNames, pluginsAreOff } from "./plugin.ts";
export { processorKey } from "./program_cache.ts";
export { testPlugin } from "./self_test.ts";
export type { Verdict } from "./self_test.ts";
