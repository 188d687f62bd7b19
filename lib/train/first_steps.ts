/**
 * How long a step takes, measured on the first ones: what a machine could do at the best says only how long a run takes at
 * the least. The very first step is left out, and the device is waited for at both ends, since steps are sent ahead.
 */

/** What the first steps took. */
export type FirstSteps = {
  /** Steps that were measured. */
  readonly steps: number;
  /** Mean of them, reading of records included. */
  readonly secondsPerStep: number;
  /** Updates done, those before a resume included. */
  readonly step: number;
};

/**
 * Watches the first steps of a run.
 *
 * @param tell Called once, with at least two steps and so many milliseconds of them.
 * @returns To be called after every step; `wait` waits for the device.
 */
export function watchFirstSteps(
  tell: (found: FirstSteps) => void,
  { milliseconds = 2000, now = () => performance.now() }: {
    readonly milliseconds?: number;
    readonly now?: () => number;
  } = {},
): (step: number, wait: () => Promise<unknown>) => Promise<void> {
  let from: { readonly step: number; readonly time: number } | undefined;
  let told = false;
  return async (step, wait) => {
    if (told) return;
    if (from === undefined) {
      await wait();
      from = { step, time: now() };
    } else if (step - from.step >= 2 && now() - from.time >= milliseconds) {
      await wait();
      told = true;
      const steps = step - from.step;
      tell({ steps, secondsPerStep: (now() - from.time) / 1000 / steps, step });
    }
  };
}
