/**
 * Where a step's temporary memory lies in the heap, kept to one place. XLA asks for it anew at each run, as one aligned
 * block, and gives it back; glibc keeps its pages for the next run. But an aligned block fits only into a gap that is a
 * little larger, and when something small was put at a gap's border meanwhile, the next run takes as much memory again at
 * another place. So before a run the place is found out, by taking such a block and giving it back. When it is another
 * than before, the pages of all gaps, the old place among them, go back to the system first. Programs that run in turn
 * are told apart by how much they ask for. Gaps that hold the block
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

/**
 * Left places may hold one byte in so many of all places: to give pages back takes those of every gap, and a small program
 * that moves would make a large one that runs in turn with it fault its own in anew.
 */
const tolerated = 8;

/**
 * How often a plugin whose threads may be about to give the block back is waited for, a millisecond each: longer for large
 * blocks, on a busy machine a thread may wait for its turn.
 */
const patienceFor = (bytes: number): number => Math.max(3, bytes / 2 ** 24);

/** Most gaps that are plugged; there are few so large. */
const mostPlugs = 16;

const sleep = (milliseconds: number): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

type Place = readonly [from: number, to: number];

/** Watches a heap; without one it does nothing. */
export function makeStepMemory(heap: Heap | undefined): StepMemory {
  if (heap === undefined) return { trim: () => {}, beforeRun: () => {} };
  const { take, give } = heap;
  /** What runs have used, by how much they ask for: programs that run in turn have a place each. */
  const places = new Map<number, Place>();
  /** Bytes of places that runs have left, whose pages are still there. */
  let left = 0;
  const plugs: number[] = [];
  const placeOf = (bytes: number): number => {
    const start = take(bytes);
    give(start);
    return start;
  };
  const covered = (start: number, bytes: number, [from, to]: Place): number =>
    Math.max(0, Math.min(to, start + bytes) - Math.max(from, start));
  /** Bytes of a run at this place that no run like it has used; of a first one, that no run at all has used. */
  const fresh = (start: number, bytes: number): number => {
    const own = places.get(bytes);
    const used = own === undefined ? [...places.values()] : [own];
    return bytes - Math.max(0, ...used.map((place) => covered(start, bytes, place)));
  };
  const giveBack = (): void => {
    left = 0;
    plugs.splice(0).forEach(give);
    heap.trim();
  };
  return {
    trim: () => {
      giveBack();
      places.clear();
    },
    beforeRun: (temporary) => {
      if (temporary < worthWatching) return;
      const known = places.has(temporary);
      let start = placeOf(temporary + spare);
      for (let i = 0; i < patienceFor(temporary) && known && fresh(start, temporary) >= spare; i++) {
        sleep(1);
        start = placeOf(temporary + spare);
      }
      const moved = fresh(start, temporary) >= spare;
      if (moved) {
        left += known ? temporary : 0;
        const all = [...places.keys()].reduce((sum, bytes) => sum + bytes, 0);
        if (!known || left >= all / tolerated) giveBack(); // before a first run: what uploads have left
      }
      if (moved || !known) places.set(temporary, [start, start + temporary]);
      const [from, to] = places.get(temporary) as Place;
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
