/**
 * What a loop kernel does, as plain data: equal specs share their code.
 *
 * In memory every element has four bytes; bool is 0 or -1 (all bits), so that a loaded bool is a mask.
 */
import type { Comparison, DType, OperationAttributes } from "../../../tensor/mod.ts";

/** An operand of a step: a load, an earlier step, or a number. */
export type Ref =
  | { readonly load: number }
  | { readonly step: number }
  | { readonly number: number; readonly dtype: DType };

/** One elementwise operation. */
export type Step = {
  readonly op: keyof OperationAttributes;
  readonly inputs: readonly Ref[];
  /** Type of the operands. */
  readonly from: DType;
  /** Type of the result. */
  readonly to: DType;
  readonly direction?: Comparison;
};

/** Memory walked by a loop: a pointer parameter, an offset and steps in elements. */
export type Access = {
  readonly pointer: number;
  readonly offset: number;
  readonly strides: readonly number[];
};

/** What a loop kernel does. */
export type LoopSpec = {
  readonly shape: readonly number[];
  readonly loads: readonly Access[];
  readonly steps: readonly Step[];
  readonly stores: readonly (Access & { readonly value: Ref })[];
  /** Strides are 0 along summed dimensions; `count` is the size of the result. */
  readonly reductions: readonly (Access & {
    readonly value: Ref;
    readonly kind: "sum" | "max";
    readonly dtype: DType;
    readonly count: number;
  })[];
  readonly pointers: number;
};

/** A result summed or maximised along some dimensions. */
export type Reduction = LoopSpec["reductions"][number];

/** Whether four elements are computed at once, or one (in the first lane) at the end of a row. */
export type Mode = "four" | "one";

/** Whether lanes are floats. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32";
}
