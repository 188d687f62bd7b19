/**
 * The double-array trie inside a SentencePiece model: how its 32-bit units are read, and how they are laid out.
 * The layout follows Darts-clone step by step, since models are compared byte for byte; keys are binary strings,
 * one character a UTF-8 byte.
 */

/** Sorted labels of one node's children with, in parallel, a child group or (label 0) the value of a key. */
type Group = { readonly labels: readonly number[]; readonly refs: readonly number[] };

const blockUnits = 256;
const openUnits = 16 * blockUnits; // only the newest 16 blocks take part in the search for a place
const lowerMask = 0xff;
const upperMask = 0xff << 21;

/** The unit reached from `node` by byte `c`, or -1. */
export function dartsStep(units: Uint32Array, node: number, c: number): number {
  const next = (node ^ dartsOffset(units[node] as number) ^ c) >>> 0;
  const unit = units[next];
  return unit !== undefined && (unit & 0x800000ff) >>> 0 === c ? next : -1;
}

/** The value of the key that ends at `node`, or -1. */
export function dartsValue(units: Uint32Array, node: number): number {
  const unit = units[node] as number;
  if (((unit >>> 8) & 1) === 0) return -1;
  const leaf = units[(node ^ dartsOffset(unit)) >>> 0];
  return leaf === undefined ? -1 : leaf & 0x7fffffff;
}

function dartsOffset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/**
 * Lays out keys as Darts-clone does.
 *
 * @param keys Distinct, non-empty binary strings in ascending order.
 * @param values One value below 2^31 per key.
 * @returns Steps, then the units, a multiple of 256.
 */
export function* buildDarts(
  keys: readonly string[],
  values: ArrayLike<number>,
): Generator<void, Uint32Array> {
  const { groups, shared, root } = minimalGroups(keys, values);
  yield;
  return layOut(groups, shared, root);
}

/** Phase 1: the minimal acyclic graph; `shared[g]` tells that group g has several parents. */
function minimalGroups(
  keys: readonly string[],
  values: ArrayLike<number>,
): { groups: Group[]; shared: boolean[]; root: number } {
  const groups: Group[] = [];
  const shared: boolean[] = [];
  const known = new Map<string, number>();
  const freeze = (low: number, high: number, depth: number): number => {
    const labels: number[] = [];
    const refs: number[] = [];
    let at = low;
    if ((keys[at] as string).length === depth) {
      labels.push(0);
      refs.push(values[at] as number);
      at++;
    }
    while (at < high) {
      const label = (keys[at] as string).charCodeAt(depth);
      const from = at++;
      while (at < high && (keys[at] as string).charCodeAt(depth) === label) at++;
      labels.push(label);
      refs.push(freeze(from, at, depth + 1));
    }
    const name = labels.join() + ";" + refs.join();
    const found = known.get(name);
    if (found !== undefined) {
      shared[found] = true;
      return found;
    }
    known.set(name, groups.length);
    shared.push(false);
    return groups.push({ labels, refs }) - 1;
  };
  const root = freeze(0, keys.length, 0);
  return { groups, shared, root };
}

/** The units under construction, with the circular list of those still free. */
function freeUnits(): {
  units: () => Uint32Array;
  size: () => number;
  head: () => number;
  next: (id: number) => number;
  used: Uint8Array;
  fixed: Uint8Array;
  reserve: (id: number) => void;
  close: () => void;
} {
  let units = new Uint32Array(1 << 16);
  let size = 0;
  let head = 0;
  const next = new Int32Array(openUnits);
  const previous = new Int32Array(openUnits);
  const used = new Uint8Array(openUnits);
  const fixed = new Uint8Array(openUnits);
  const slot = (id: number): number => id % openUnits;
  const reserve = (id: number): void => {
    if (id >= size) grow();
    const after = next[slot(id)] as number;
    if (id === head) head = after === id ? size : after;
    const before = previous[slot(id)] as number;
    next[slot(before)] = after;
    previous[slot(after)] = before;
    fixed[slot(id)] = 1;
  };
  const closeBlock = (block: number): void => {
    const begin = block * blockUnits;
    let unusedBase = 0;
    for (let id = begin; id < begin + blockUnits; id++) {
      if (used[slot(id)] === 0) {
        unusedBase = id;
        break;
      }
    }
    for (let id = begin; id < begin + blockUnits; id++) {
      if (fixed[slot(id)] !== 0) continue;
      reserve(id);
      units[id] = ((units[id] as number) & ~0xff) | ((id ^ unusedBase) & 0xff);
    }
  };
  const grow = (): void => {
    const from = size;
    const to = size + blockUnits;
    if (to > openUnits) closeBlock(to / blockUnits - 17);
    if (to > units.length) {
      const larger = new Uint32Array(units.length * 2);
      larger.set(units);
      units = larger;
    }
    size = to;
    used.fill(0, slot(from), slot(from) + blockUnits);
    fixed.fill(0, slot(from), slot(from) + blockUnits);
    for (let id = from; id < to; id++) {
      next[slot(id)] = id + 1;
      previous[slot(id)] = id - 1;
    }
    const empty = head >= from; // nothing was free: the new block is a ring of its own
    const first = empty ? from : head;
    const last = empty ? to - 1 : previous[slot(head)] as number;
    previous[slot(from)] = last;
    next[slot(to - 1)] = first;
    next[slot(last)] = from;
    previous[slot(first)] = to - 1;
    if (empty) {
      previous[slot(from)] = to - 1;
      next[slot(to - 1)] = from;
      head = from;
    }
  };
  const close = (): void => {
    const blocks = size / blockUnits;
    for (let block = Math.max(0, blocks - 16); block < blocks; block++) closeBlock(block);
  };
  return {
    units: () => units,
    size: () => size,
    head: () => head,
    next: (id) => next[slot(id)] as number,
    used,
    fixed,
    reserve,
    close,
  };
}

/** Phase 2: places every node's children, depth first. */
function layOut(groups: readonly Group[], shared: readonly boolean[], root: number): Uint32Array {
  const free = freeUnits();
  const bases = new Int32Array(groups.length);
  const fits = (relative: number): boolean => (relative & lowerMask) === 0 || (relative & upperMask) === 0;
  const setOffset = (id: number, offset: number): void => {
    const kept = (free.units()[id] as number) & 0x800001ff;
    free.units()[id] = kept | (offset < 1 << 21 ? offset << 10 : (offset << 2) | (1 << 9));
  };
  const setLeaf = (id: number): void => {
    free.units()[id] = (free.units()[id] as number) | (1 << 8);
  };
  const findBase = (id: number, labels: readonly number[]): number => {
    const first = labels[0] as number;
    const head = free.head();
    if (head < free.size()) {
      let candidate = head;
      do {
        const base = candidate ^ first;
        if (
          free.used[base % openUnits] === 0 && fits(base ^ id) &&
          labels.every((label, k) => k === 0 || free.fixed[(base ^ label) % openUnits] === 0)
        ) return base;
        candidate = free.next(candidate);
      } while (candidate !== head);
    }
    return free.size() | (id & lowerMask);
  };
  const place = (id: number, groupId: number): void => {
    const { labels, refs } = groups[groupId] as Group;
    const placed = bases[groupId] as number;
    if (shared[groupId] && placed !== 0 && fits(placed ^ id)) {
      if (labels[0] === 0) setLeaf(id);
      setOffset(id, placed ^ id);
      return;
    }
    const base = findBase(id, labels);
    setOffset(id, base ^ id);
    for (let k = 0; k < labels.length; k++) {
      const label = labels[k] as number;
      const child = base ^ label;
      free.reserve(child);
      if (label === 0) {
        setLeaf(id);
        free.units()[child] = ((refs[k] as number) | 0x80000000) >>> 0;
      } else {
        free.units()[child] = ((free.units()[child] as number) & ~0xff) | label;
      }
    }
    free.used[base % openUnits] = 1;
    if (shared[groupId]) bases[groupId] = base;
    for (let k = 0; k < labels.length; k++) {
      const label = labels[k] as number;
      if (label !== 0) place(base ^ label, refs[k] as number);
    }
  };
  free.reserve(0);
  free.used[0] = 1;
  setOffset(0, 1);
  place(0, root);
  free.close();
  return free.units().slice(0, free.size());
}
