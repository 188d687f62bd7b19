/**
 * The graph: operations with their shape and gradient rules, functions composed of them, grad, scan, compile.
 *
 * @module
 */
export * from "./compile.ts";
export { type DeviceArray, deviceArray } from "./device_array.ts";
export type { Groups, Regroup } from "./groups.ts";
export {
  abs,
  add,
  and,
  broadcastShapes,
  div,
  erf,
  exp,
  floor,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  or,
  pow,
  rsqrt,
  shiftRightLogical,
  sign,
  sqrt,
  sub,
  tanh,
  xor,
} from "./arithmetic.ts";
export { cast, compare, select } from "./elementwise.ts";
export type { Operand } from "./arithmetic.ts";
export * from "./functions.ts";
export { grad } from "./grad.ts";
export { describe, hostArray, sizeOf, topological, trace } from "./graph.ts";
export { useEngine } from "./interactive.ts";
export {
  broadcastTo,
  concat,
  constant,
  iota,
  ones,
  pad,
  reshape,
  slice,
  stack,
  transpose,
  zeros,
} from "./layout.ts";
export {
  allReduce,
  barrier,
  dot,
  freeDims,
  gather,
  matmul,
  reduceMax,
  reduceSum,
  scatterAdd,
  stopGradient,
} from "./linear.ts";
export type { ReduceOptions } from "./linear.ts";
export {
  dropout,
  hashBits,
  keyWords,
  randomBits,
  randomKey,
  randomUniform,
  splitKey,
} from "./random_bits.ts";
export { cutAtSums, ownReplica } from "./cut.ts";
export type { CutGraph, CutStage, CutValue } from "./cut.ts";
export { unroll, withoutAllReduce } from "./rebuild.ts";
export type { OnCopy } from "./rebuild.ts";
export { scan } from "./scan.ts";
export type { ScanOptions, ScanResult, ScanStep } from "./scan.ts";
export type * from "./types.ts";
