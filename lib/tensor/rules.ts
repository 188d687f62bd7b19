/**
 * The type of a gradient rule. Rules stand beside their operations; `grad` collects them into one table, and the
 * compiler refuses a table with a gap.
 */
import type { OperationName, Tensor, TensorOf } from "./types.ts";

/**
 * Given a node and the cotangent of its value (same shape), the cotangents of its inputs; `undefined` where no
 * gradient flows.
 */
export type GradientRule<Name extends OperationName> = (
  node: TensorOf<Name> & Tensor,
  cotangent: Tensor,
) => readonly (Tensor | undefined)[];

/** One rule per operation; scans and their results are handled by `grad` itself. */
export type GradientRules = {
  readonly [Name in Exclude<OperationName, "scan" | "result">]: GradientRule<Name>;
};
