/**
 * Where which piece fits in every word, found once with the seed pieces: later rounds only lose pieces, so the list is
 * filtered instead of searched again. Words are most of the work of a training, and this is most of their cost.
 */
import type { Symbols } from "./symbol_text.ts";
import { type Lattice, makeLattice } from "./lattice.ts";
import type { PieceList } from "./piece_list.ts";
import type { Steps } from "./pace.ts";
import { release } from "./release.ts";
import type { Words } from "./words.ts";

/** The arcs of a word that was loaded, as a lattice holds them. */
export type LoadedWord = Pick<Lattice, "firstArc" | "ends" | "ids" | "scores"> & {
  /** Loads a word by its index. */
  readonly load: (word: number) => void;
};

/** The arcs of all words. */
export type WordArcs = {
  /** Where they are kept, for threads that work on them. */
  readonly store: ArcStore;
  /** Lattices with the scores of the pieces as they are now. */
  readonly lattice: (pieces: PieceList) => LoadedWord;
  /** Keeps the arcs of these pieces, which get their place in `kept` as new id. */
  readonly keep: (kept: ArrayLike<number>, count: number) => void;
};

/** Arcs by place: those of place p are `first[p]` to `first[p + 1]`; word w has the places from `bases[w]` on. */
export type ArcStore = {
  readonly bases: Int32Array;
  readonly first: Int32Array;
  readonly ids: Int32Array;
  /** Lengths in symbols. */
  readonly spans: Uint16Array;
};

/**
 * Finds all arcs, in steps.
 *
 * @param memory How the arrays are made; shared ones can be read by other threads.
 */
export function* collectArcs(
  text: Symbols,
  words: Words,
  seeds: PieceList,
  memory: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): Steps<WordArcs> {
  const lattice = makeLattice(text, seeds);
  const bases = new Int32Array(memory(4 * (words.count + 1)));
  for (let word = 0; word < words.count; word++) {
    bases[word + 1] = (bases[word] as number) + (words.lengths[word] as number);
  }
  const first = new Int32Array(memory(4 * ((bases[words.count] as number) + 1)));
  let ids: Int32Array = new Int32Array(1 << 16);
  let spans: Uint16Array = new Uint16Array(1 << 16);
  let count = 0;
  for (let word = 0; word < words.count; word++) {
    if ((word & 0x3ff) === 0) yield word / words.count;
    const length = words.lengths[word] as number;
    lattice.build(words.starts[word] as number, length);
    const firstArc = lattice.firstArc();
    const [ends, found, scores] = [lattice.ends(), lattice.ids(), lattice.scores()];
    const arcs = firstArc[length] as number;
    if (count + arcs > ids.length) {
      ids = widened(ids, new Int32Array(2 * (count + arcs)));
      spans = widened(spans, new Uint16Array(2 * (count + arcs)));
    }
    for (let at = 0; at < length; at++) {
      first[(bases[word] as number) + at] = count;
      for (let arc = firstArc[at] as number; arc < (firstArc[at + 1] as number); arc++) {
        if ((scores[arc] as number) === lattice.unknown) continue; // comes and goes with the pieces
        ids[count] = found[arc] as number;
        spans[count++] = (ends[arc] as number) - at;
      }
    }
  }
  first[bases[words.count] as number] = count;
  lattice.close();
  const store: ArcStore = {
    bases,
    first,
    ids: widened(ids.subarray(0, count), new Int32Array(memory(4 * count))),
    spans: widened(spans.subarray(0, count), new Uint16Array(memory(2 * count))),
  };
  return {
    store,
    lattice: ({ scores }) => wordLoader(scores, words, store),
    keep: (kept, pieceCount) => {
      const renamed = new Int32Array(pieceCount).fill(-1);
      for (let k = 0; k < kept.length; k++) renamed[kept[k] as number] = k;
      keepArcs(store, renamed);
    },
  };
}

function widened<T extends Int32Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  release(from);
  return to;
}

/** Squeezes out the arcs of pieces without a new name. */
function keepArcs({ first, ids, spans }: ArcStore, renamed: Int32Array): void {
  let count = 0;
  let arc = 0;
  for (let place = 0; place + 1 < first.length; place++) {
    const last = first[place + 1] as number;
    first[place] = count;
    for (; arc < last; arc++) {
      const id = renamed[ids[arc] as number] as number;
      if (id < 0) continue;
      ids[count] = id;
      spans[count++] = spans[arc] as number;
    }
  }
  first[first.length - 1] = count;
}

/** Makes the function that loads words, with the scores of all pieces as they are now. */
export function wordLoader(
  pieceScores: Float32Array,
  words: Pick<Words, "lengths">,
  store: ArcStore,
): LoadedWord {
  const { bases, first } = store;
  let lowest = Infinity;
  for (const score of pieceScores) if (score < lowest) lowest = score;
  const unknown = Math.fround(lowest - 10);
  let firstArc = new Int32Array(64);
  let ends = new Int32Array(256);
  let ids = new Int32Array(256);
  let scores = new Float32Array(256);
  const load = (word: number): void => {
    const length = words.lengths[word] as number;
    const base = bases[word] as number;
    const most = (first[base + length] as number) - (first[base] as number) + length;
    if (firstArc.length < length + 1) firstArc = new Int32Array(2 * length + 1);
    if (ends.length < most) {
      ends = new Int32Array(2 * most);
      ids = new Int32Array(2 * most);
      scores = new Float32Array(2 * most);
    }
    let arcs = 0;
    let arc = first[base] as number;
    for (let at = 0; at < length; at++) {
      firstArc[at] = arcs;
      const last = first[base + at + 1] as number;
      const single = arc < last && store.spans[arc] === 1; // the shortest comes first
      for (; arc < last; arc++) {
        const id = store.ids[arc] as number;
        ends[arcs] = at + (store.spans[arc] as number);
        ids[arcs] = id;
        scores[arcs++] = pieceScores[id] as number;
      }
      if (single) continue;
      ends[arcs] = at + 1;
      ids[arcs] = 0;
      scores[arcs++] = unknown;
    }
    firstArc[length] = arcs;
  };
  return { load, firstArc: () => firstArc, ends: () => ends, ids: () => ids, scores: () => scores };
}
