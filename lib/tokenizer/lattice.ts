/**
 * All ways to cut a word into pieces, one word at a time in reused arrays: arcs by start, shortest first, and where no
 * single-character piece fits one more arc for the unknown character. That arc has id 0: spm_train never sets its unknown
 * id while training, so what cannot be spelled is credited to the first piece.
 */
import type { Symbols } from "./symbol_text.ts";
import type { PieceList } from "./piece_list.ts";
import { release } from "./release.ts";

/** Lattice of the last word built: arcs `firstArc[p]` to `firstArc[p + 1]` start at symbol p. */
export type Lattice = {
  /** Builds the lattice of a slice of the text. */
  readonly build: (start: number, length: number) => void;
  /** Index of the first arc of each start, and of the end. */
  readonly firstArc: () => Int32Array;
  /** Symbol after the arc. */
  readonly ends: () => Int32Array;
  /** Piece of the arc. */
  readonly ids: () => Int32Array;
  /** Score of the arc. */
  readonly scores: () => Float32Array;
  /** Score of an arc for an unknown character; below that of every piece. */
  readonly unknown: number;
  /** Frees the table of pieces; nothing can be built afterwards. */
  readonly close: () => void;
};

/** Makes the lattice builder of one round of pieces. */
export function makeLattice(text: Symbols, pieces: PieceList): Lattice {
  const { table, mask, values } = pieceTable(text, pieces);
  const { scores } = pieces;
  let lowest = Infinity;
  let longest = 1;
  for (let id = 0; id < pieces.count; id++) {
    lowest = Math.min(lowest, scores[id] as number);
    longest = Math.max(longest, pieces.lengths[id] as number);
  }
  const unknown = Math.fround(lowest - 10);
  let firstArc = new Int32Array(64);
  let ends = new Int32Array(64);
  let ids = new Int32Array(64);
  let arcScores = new Float32Array(64);
  const build = (start: number, length: number): void => {
    if (firstArc.length < length + 1) firstArc = new Int32Array(2 * length + 1);
    if (ends.length < length * (longest + 1)) {
      const size = 2 * length * (longest + 1);
      ends = new Int32Array(size);
      ids = new Int32Array(size);
      arcScores = new Float32Array(size);
    }
    let arcs = 0;
    for (let from = 0; from < length; from++) {
      firstArc[from] = arcs;
      let node = 0;
      let single = false;
      for (let at = from; at < length; at++) {
        const symbol = text[start + at] as number;
        let slot = slotOf(node, symbol) & mask;
        let parent = table[4 * slot] as number;
        while (parent !== -1 && (parent !== node || table[4 * slot + 1] !== symbol)) {
          slot = (slot + 1) & mask;
          parent = table[4 * slot] as number;
        }
        if (parent === -1) break;
        node = table[4 * slot + 2] as number;
        const id = values[node] as number;
        if (id < 0) continue;
        ends[arcs] = at + 1;
        ids[arcs] = id;
        arcScores[arcs++] = scores[id] as number;
        if (at === from) single = true;
      }
      if (single) continue;
      ends[arcs] = from + 1;
      ids[arcs] = 0;
      arcScores[arcs++] = unknown;
    }
    firstArc[length] = arcs;
  };
  return {
    build,
    firstArc: () => firstArc,
    ends: () => ends,
    ids: () => ids,
    scores: () => arcScores,
    unknown,
    close: () => release(table, values),
  };
}

function slotOf(node: number, symbol: number): number {
  const hash = Math.imul(node, 0x9e3779b1 | 0) ^ Math.imul(symbol, 0x85ebca6b | 0);
  return hash ^ (hash >>> 15);
}

/** A trie as a hash table: parent, symbol, child, unused per slot; -1 as parent means free. */
function pieceTable(
  text: Symbols,
  pieces: PieceList,
): { table: Int32Array; mask: number; values: Int32Array } {
  let table = new Int32Array(4 << 12).fill(-1);
  let mask = (1 << 12) - 1;
  let nodes = 1;
  let values = new Int32Array(1 << 12).fill(-1);
  const grow = (): void => {
    const old = table;
    mask = 2 * mask + 1;
    table = new Int32Array(4 * (mask + 1)).fill(-1);
    for (let i = 0; i < old.length; i += 4) {
      if (old[i] === -1) continue;
      let slot = slotOf(old[i] as number, old[i + 1] as number) & mask;
      while (table[4 * slot] !== -1) slot = (slot + 1) & mask;
      table.set(old.subarray(i, i + 3), 4 * slot);
    }
    release(old);
    const larger = new Int32Array(mask + 1).fill(-1);
    larger.set(values);
    release(values);
    values = larger;
  };
  for (let id = 0; id < pieces.count; id++) {
    const start = pieces.starts[id] as number;
    const length = pieces.lengths[id] as number;
    let node = 0;
    for (let k = 0; k < length; k++) {
      const symbol = text[start + k] as number;
      let slot = slotOf(node, symbol) & mask;
      while (table[4 * slot] !== -1 && (table[4 * slot] !== node || table[4 * slot + 1] !== symbol)) {
        slot = (slot + 1) & mask;
      }
      if (table[4 * slot] === -1) {
        table[4 * slot] = node;
        table[4 * slot + 1] = symbol;
        table[4 * slot + 2] = nodes++;
      }
      node = table[4 * slot + 2] as number;
      if (2 * nodes > mask) grow();
    }
    if (values[node] === -1) values[node] = id; // a file of seeds can name a piece twice: the first one counts
  }
  return { table, mask, values };
}
