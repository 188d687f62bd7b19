/**
 * What runs a graph: the registry of engines.
 *
 * @module
 */
export { describeMachine, type EngineState, type MachineFact, surveyEngines } from "./machine.ts";
export { measurePeak, measureStep } from "./measure.ts";
export { alone, type Communicator, isLaunched, joinMpi, mpiEngine, type MpiSignals } from "./mpi/mod.ts";
export { openEngine } from "./registry.ts";
export type { EngineName, OpenOptions } from "./registry.ts";
export { chooseEngine, describeChoice, type EngineChoice, type EngineSpeed } from "./choose.ts";
export { referenceEngine } from "./reference/mod.ts";
export { findNodePackage, installTfjsNode, testNodePackage, tfjsEngine } from "./tfjs/mod.ts";
export type { NodePackage, TfjsOptions } from "./tfjs/mod.ts";
export {
  ensurePlugin,
  findPlugin,
  installPlugin,
  stableHlo,
  testPlugin,
  xlaEngine,
  XlaError,
} from "./xla/mod.ts";
export type { EnsuredPlugin, InstallOptions, PluginName, Verdict, XlaOptions } from "./xla/mod.ts";
