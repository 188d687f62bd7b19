/**
 * `show`: the one awaited function for every output, in both kernels and in a plain script. It turns a value into a MIME
 * bundle, sends it, and waits a moment so that the output lands in the cell that made it.
 */
import type { Bundle } from "./bundle.ts";
import { guardKernel } from "./guard.ts";
import { detectHost, pause } from "./host.ts";
import { throwIfStopped } from "./stop.ts";
import { isTensorLike, tensorText, valueText } from "./text.ts";

/**
 * How `show` sends.
 *
 * @example
 * ```ts
 * import { show, type ShowOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: ShowOptions = { id: "loss", settleMs: 0 };
 * await show("first", options);
 * await show("second", { ...options, update: true });
 * assert.equal(options.id, "loss");
 * ```
 */
export type ShowOptions = {
  /** Name of a slot that a later call may replace; default: none. */
  readonly id?: string;
  /** Whether the slot named by `id` exists and is replaced; default false. */
  readonly update?: boolean;
  /**
   * Words that say what is seen here, for an output that depends on the machine, such as a timing. Who executes the cell
   * sees the output; a notebook stored by the project's runner keeps these words. Default: the output is stored.
   */
  readonly volatile?: string;
  /** Wait after sending, in milliseconds; default 25, which is enough for the Deno kernel's other thread. */
  readonly settleMs?: number;
};

/** Whether something can be called `toBundle` on, or holds a bundle. */
function bundleOf(value: object): Bundle | Promise<Bundle> | undefined {
  const { toBundle, bundle } = value as { toBundle?: unknown; bundle?: unknown };
  if (typeof toBundle === "function") return toBundle.call(value) as Bundle | Promise<Bundle>;
  if (typeof bundle === "object" && bundle !== null) return bundle as Bundle;
  return undefined;
}

/**
 * Turns any value into the bundle `show` sends.
 *
 * @param value A plain value, a tensor, a promise, or something with `bundle` or `toBundle()`.
 * @returns The forms of the output; `text/plain` is always among those made here.
 *
 * @example
 * ```ts
 * import { bundleFor } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(await bundleFor([1 / 3, -0, NaN, 5n]), { "text/plain": "[0.333333, -0, NaN, 5n]" });
 * ```
 */
export async function bundleFor(value: unknown): Promise<Bundle> {
  if (typeof value !== "object" || value === null) return { "text/plain": valueText(value) };
  const made = bundleOf(value);
  if (made !== undefined) return await made;
  if (isTensorLike(value)) {
    return { "text/plain": tensorText(await value.data(), value.shape, value.dtype) };
  }
  if (typeof (value as { then?: unknown }).then === "function") return await bundleFor(await value);
  return { "text/plain": valueText(value) };
}

/**
 * Shows a value: in a cell of the Deno kernel or of tslab as its best form, in a plain process as text on standard
 * output. Always `await` it, or the output may land in another cell.
 *
 * @param value Anything: plain values, tensors, `table(...)`, charts, figures, pictures, `html(...)`.
 * @param options See {@linkcode ShowOptions}.
 *
 * @example
 * ```ts
 * import { show } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(await show({ loss: 10.3095, steps: 3 }), undefined);
 * ```
 */
export async function show(
  value: unknown,
  { id, update, volatile, settleMs = 25 }: ShowOptions = {},
): Promise<void> {
  guardKernel();
  throwIfStopped();
  const bundle = await bundleFor(value);
  await detectHost().send(bundle, {
    ...(id === undefined ? {} : { id }),
    ...(update === undefined ? {} : { update }),
    ...(volatile === undefined ? {} : { volatile }),
  });
  await pause(settleMs);
}
