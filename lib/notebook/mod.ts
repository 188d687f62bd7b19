/**
 * Notebooks without Jupyter: run them headless under both kernels, compare what they show with what is committed,
 * type-check their cells, and build the package that tslab loads. Deno only; not part of the published library.
 *
 * @module
 */
export { type BuildOptions, buildPackage, type BuildResult, describeBuild } from "./build.ts";
export {
  checkCells,
  type CheckOptions,
  type CheckResult,
  joinCells,
  type JoinedCells,
} from "./check_cells.ts";
export { compareOutputs, type Difference, firstDifference } from "./compare.ts";
export { rewriteDeclarationImports } from "./declarations.ts";
export { findNotebooks } from "./find.ts";
export {
  type Cell,
  type GuideMetadata,
  type Json,
  type Notebook,
  type Output,
  parseNotebook,
  serializeNotebook,
} from "./format.ts";
export { type Execution, type Kernel, type KernelOptions, startKernel } from "./kernel.ts";
export { canonicalOutput, type HiddenPath } from "./outputs.ts";
export type { KernelName } from "./process.ts";
export {
  describeResult,
  type NotebookResult,
  type Problem,
  runNotebook,
  type RunOptions,
} from "./run_notebook.ts";
export { createFrameReader, encodeFrame, type ZmtpFrame } from "./zmtp.ts";
