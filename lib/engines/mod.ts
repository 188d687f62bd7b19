/**
 * What runs a graph: the registry of engines.
 *
 * @module
 */
export { describeMachine, type EngineState, type MachineFact, surveyEngines } from "./machine.ts";
export { measureStep } from "./measure.ts";
export { openEngine } from "./registry.ts";
export type { EngineName } from "./registry.ts";
export { referenceEngine } from "./reference/mod.ts";
export { tfjsEngine } from "./tfjs/mod.ts";
export type { TfjsOptions } from "./tfjs/mod.ts";
export { findPlugin, installPlugin, testPlugin, xlaEngine, XlaError } from "./xla/mod.ts";
export type { InstallOptions, PluginName, Verdict, XlaOptions } from "./xla/mod.ts";
