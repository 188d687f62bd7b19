/**
 * The stop button of a notebook while the XLA process computes. Jupyter sends SIGINT: tslab then ends the cell by
 * itself, but the Deno kernel (2.9) would end as a whole and lose every value. So while an answer is due, and only in
 * that kernel, the signal is heard here and ends the waiting instead.
 */

const mark: unique symbol = Symbol.for("albert-guide.stop") as never;

type Listener = () => void;
type DenoKernel = {
  readonly jupyter: unknown;
  addSignalListener(signal: "SIGINT", listener: Listener): void;
  removeSignalListener(signal: "SIGINT", listener: Listener): void;
};

/** Deno, if this is its kernel; the getter throws elsewhere. */
function denoKernel(): DenoKernel | undefined {
  const deno = (globalThis as { readonly Deno?: DenoKernel }).Deno;
  try {
    return deno?.jupyter === undefined ? undefined : deno;
  } catch {
    return undefined;
  }
}

/**
 * Listens to the stop button between `ref` and `unref`; in anything but the Deno kernel it does nothing.
 *
 * @param stopped Called when the button is pressed.
 */
export function stopButton(
  stopped: (why: Error) => void,
): { readonly ref: () => void; readonly unref: () => void } {
  const kernel = denoKernel();
  const listener = (): void => {
    stopped(new Error("Interrupted: the stop button was pressed; the step that runs on XLA ends by itself"));
    // `show` notes presses too (lib/show/stop.ts): this one has done its work, the next output shall not throw.
    const noted = (globalThis as { [mark]?: { pressed: unknown } })[mark];
    if (noted !== undefined) setTimeout(() => noted.pressed = undefined, 0);
  };
  return {
    ref: () => kernel?.addSignalListener("SIGINT", listener),
    unref: () => kernel?.removeSignalListener("SIGINT", listener),
  };
}
