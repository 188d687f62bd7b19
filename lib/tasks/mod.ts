/**
 * Tasks: the masked language model and the sentence order, from documents of pieces to instances.
 *
 * @module
 */
export * from "./pieces.ts";
export { type PieceTable, pieceTable, type PieceTableOptions } from "./piece_table.ts";
export {
  checkedTasks,
  type Generators,
  generators,
  type MaskingConfig,
  TASKS_DEFAULTS,
  type TasksConfig,
} from "./config.ts";
export { createMaskedLmPredictions, type MaskedTokens } from "./masking.ts";
export { createInstances, type Instance } from "./instances.ts";
export { type InstancesBuilder, instancesBuilder, type PackedInstances } from "./builder.ts";
export type { SegmentPair } from "./maker.ts";
export type { StoredInstance } from "./packed.ts";
export { type InstanceKey, type KeyedBlock, keyedBlock, type KeyedSeeds, type PassRange } from "./keyed.ts";
