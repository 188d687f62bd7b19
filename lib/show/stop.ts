/**
 * The stop button in the Deno kernel. Jupyter sends SIGINT; tslab then ends the cell, but the Deno kernel (2.9) would end
 * as a whole, with every value in it. Here the signal is noted instead, and the next output of the cell (`show`, a point
 * of a live chart, a report of progress) throws, which ends the loop around it. A loop that never shows anything and
 * never waits cannot be stopped so: restart the kernel.
 */

const MARK: unique symbol = Symbol.for("albert-guide.stop") as never;

/** When the button was pressed, in milliseconds of `performance.now`; the XLA engine takes it back when it ends a wait. */
type State = { pressed: number | undefined };
type Marked = { [MARK]?: State };
type Signals = { addSignalListener?: (signal: "SIGINT", listener: () => void) => void };

/** A press that nothing noticed for so long was meant for something else. */
const forgottenAfter = 30_000;

/** Notes presses from now on; only in the Deno kernel, and once. */
export function listenToStop(
  target: Marked = globalThis as Marked,
  signals: Signals | undefined = denoSignals(),
): void {
  if (target[MARK] !== undefined || signals?.addSignalListener === undefined) return;
  const state: State = { pressed: undefined };
  target[MARK] = state;
  signals.addSignalListener("SIGINT", () => state.pressed = performance.now());
}

function denoSignals(): Signals | undefined {
  return (globalThis as { readonly Deno?: Signals }).Deno;
}

/**
 * Ends the cell if the button was pressed.
 *
 * @throws {Error} "Interrupted: ...", once for each press.
 */
export function throwIfStopped(target: Marked = globalThis as Marked): void {
  const state = target[MARK];
  if (state?.pressed === undefined) return;
  const ago = performance.now() - state.pressed;
  state.pressed = undefined;
  if (ago < forgottenAfter) throw new Error("Interrupted: the stop button was pressed");
}
