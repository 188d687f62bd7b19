/**
 * Progress reports: what a long stage says while it works. Stages only call back; `show` and the command line draw.
 */

/**
 * One report of a running stage.
 *
 * @example
 * ```ts
 * import type { Progress } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const half: Progress = { stage: "records", done: 50, total: 100, unit: "documents" };
 * assert.equal(half.done / (half.total ?? 1), 0.5);
 * ```
 */
export type Progress = {
  /** What is running, in one or two words: `"tokenizer: E-step"`. */
  readonly stage: string;
  /** Units finished so far. */
  readonly done: number;
  /** Units in all, when known. */
  readonly total?: number;
  /** What is counted: `"documents"`, `"steps"`, `"bytes"`. */
  readonly unit: string;
  /** A short remark for the end of the line, such as `"loss 5.43"`. */
  readonly note?: string;
};

/**
 * Called by a stage whenever it has something to report; must be cheap and must not throw.
 *
 * @example
 * ```ts
 * import type { OnProgress } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const seen: number[] = [];
 * const onProgress: OnProgress = (progress) => seen.push(progress.done);
 * onProgress({ stage: "raws", done: 3, unit: "documents" });
 * assert.deepEqual(seen, [3]);
 * ```
 */
export type OnProgress = (progress: Progress) => void;
