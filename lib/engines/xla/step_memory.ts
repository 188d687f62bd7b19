/**
 * Where a step's temporary memory lies in the heap, kept to one place. XLA asks for it anew at each run, as one aligned
 * block, and gives it back; glibc keeps its pages for the next run. But an aligned block fits only into a gap that is a
 * little larger, and when something small was put at a gap's border meanwhile, the next run takes as much memory again at
 * another place. So before a run the place is found out, by taking such a block and giving it back. When it is another
 * than before, the pages of all gaps, the old place among them, go back to the system first. Gaps that hold the block
 * with no room to spare are plugged: of those it is not sure whether a run finds them large enough.
 */
import type { Heap } from "./ffi.ts";

/** The place in one process. */
export type StepMemory = {
  /** After a compilation, which leaves gaps of hundreds of megabytes: their pages go back. */
  readonly trim: () => void;
  /** Before a run with so many bytes of temporary memory. */
  readonly beforeRun: (temporary: number) => void;
};

/** Below so many bytes, moving about costs less than watching. */
const worthWatching = 1 << 22;

/** Room that a gap must have beside the block: what a run puts down before it asks for the block. */
const spare = 1 << 21;

/** How often a plugin whose threads may be about to give the block back is waited for, a millisecond each. */
const patience = 3;

/** Most gaps that are plugged; there are few so large. */
const mostPlugs = 16;

const sleep = (milliseconds: number): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

/** Watches a heap; without one it does nothing. */
export function makeStepMemory(heap: Heap | undefined): StepMemory {
  if (heap === undefined) return { trim: () => {}, beforeRun: () => {} };
  const { take, give } = heap;
  let [from, to] = [0, 0]; // what runs have used
  const plugs: number[] = [];
  const placeOf = (bytes: number): number => {
    const start = take(bytes);
    give(start);
    return start;
  };
  /** Bytes of a run at this place that no run has used. */
  const fresh = (start: number, bytes: number): number =>
    bytes - Math.max(0, Math.min(to, start + bytes) - Math.max(from, start));
  const trim = (): void => {
    plugs.splice(0).forEach(give);
    heap.trim();
    [from, to] = [0, 0];
  };
  const move = (start: number, bytes: number): void => {
    const stale = to - from - (bytes - fresh(start, bytes));
    if (stale >= worthWatching || from === to) trim(); // at first: uploads have left gaps
    [from, to] = [start, start + bytes];
  };
  return {
    trim,
    beforeRun: (temporary) => {
      if (temporary < worthWatching) return;
      let start = placeOf(temporary + spare);
      for (let i = 0; i < patience && to > from && fresh(start, temporary) >= spare; i++) {
        sleep(1);
        start = placeOf(temporary + spare);
      }
      if (fresh(start, temporary) >= spare) move(start, temporary);
      while (plugs.length < mostPlugs) {
        const tight = take(temporary);
        if (tight >= from - spare && tight <= to) {
          give(tight);
          break;
        }
        plugs.push(tight);
      }
    },
  };
}
