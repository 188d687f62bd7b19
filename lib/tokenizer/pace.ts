/**
 * Long work in one thread without freezing it: loops ask whether it is time to let others run, and rest for one turn of
 * the event loop when it is.
 */

/** Asked now and then by long loops. */
export type Pace = {
  /** Whether the thread was held long enough. */
  readonly due: () => boolean;
  /** Lets others run; rejects when the work was aborted. */
  readonly rest: () => Promise<void>;
};

const heldMilliseconds = 50;

/** Starts counting now. */
export function makePace(signal?: AbortSignal): Pace {
  let last = performance.now();
  return {
    due: () => performance.now() - last > heldMilliseconds,
    rest: async () => {
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      signal?.throwIfAborted();
      last = performance.now();
    },
  };
}

/** Runs work that is cut into steps, resting between them when due. */
export async function runSteps<T>(steps: Generator<void, T>, pace: Pace): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
    if (pace.due()) await pace.rest();
  }
}
