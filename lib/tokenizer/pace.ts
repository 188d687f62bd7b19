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

/** Work that is cut into steps; each may tell which share of all is done. */
export type Steps<T> = Generator<number | void, T>;

/** Steps that are a part of larger work: from one share of it to another. */
export function* part<T>(from: number, to: number, steps: Steps<T>): Steps<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
    yield typeof value === "number" ? from + (to - from) * value : undefined;
  }
}

/** Runs steps, resting between them when due; shares are reported then. */
export async function runSteps<T>(
  steps: Steps<T>,
  pace: Pace,
  report: (share: number) => void = () => {},
): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
    if (!pace.due()) continue;
    if (typeof value === "number") report(value);
    await pace.rest();
  }
}
