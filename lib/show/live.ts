/**
 * A slot in a cell's output whose content is replaced while work goes on. At most ten times a second; where nobody watches
 * (headless runs, plain processes) only the final state is shown, so stored outputs do not depend on speed.
 */
import type { Bundle } from "./bundle.ts";
import { guardKernel } from "./guard.ts";
import { detectHost, type Host, isHeadless, pause } from "./host.ts";

/** Where a slot lives and how it tells time; tests give their own. */
export type LiveOptions = {
  /** Where outputs go; default the detected host. */
  readonly host?: Host;
  /** Whether only the final state is shown; default the environment's NOTEBOOK_HEADLESS. */
  readonly headless?: boolean;
  /** Clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
  /** Least time between two updates in milliseconds; default 100. */
  readonly intervalMs?: number;
};

/** One replaceable output. */
export type LiveSlot = {
  /** Whether a watcher would see an update now; lets a caller skip work. */
  readonly isDue: () => boolean;
  /** Shows a state unless one was shown a moment ago; then lets the runtime send it. */
  readonly update: (bundle: Bundle) => Promise<void>;
  /** Shows the final state. */
  readonly done: (bundle: Bundle) => Promise<void>;
};

let nextSlot = 0; // names of slots only have to differ within one process; they are not stored in notebooks

/** Opens a slot; nothing is shown before the first update. */
export function liveSlot(options: LiveOptions = {}): LiveSlot {
  const { host = detectHost(), headless = isHeadless(), now = () => performance.now(), intervalMs = 100 } =
    options;
  const watched = host.kind !== "plain" && !headless;
  const id = `albert-${nextSlot++}`;
  let created = false;
  let last = -Infinity;
  const isDue = (): boolean => watched && now() - last >= intervalMs;
  const send = async (bundle: Bundle): Promise<void> => {
    const update = created;
    created = true;
    last = now();
    await host.send(bundle, watched ? { id, update } : {});
  };
  guardKernel();
  return {
    isDue,
    update: async (bundle) => {
      if (!isDue()) return;
      await send(bundle);
      await pause(0);
    },
    done: async (bundle) => {
      await send(bundle);
      await pause(25);
    },
  };
}
