/**
 * Numbers for slices of a text: equal strings have the same one.
 */
import { release } from "./release.ts";
import type { Symbols } from "./symbol_text.ts";

/** The table; slice k is where its string was first met. */
export type SliceTable = {
  /** The number of a slice, new if its string is. */
  readonly numberOf: (start: number, length: number) => number;
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
};

/** Makes an empty table over a text. */
export function makeSliceTable(text: Symbols): SliceTable {
  const starts: number[] = [];
  const lengths: number[] = [];
  let slots = new Int32Array(1 << 14).fill(-1);
  const slotOf = (start: number, length: number): number => {
    let hash = length;
    for (let k = 0; k < length; k++) hash = Math.imul(hash ^ (text[start + k] as number), 0x01000193);
    const mask = slots.length - 1;
    for (let slot = (hash ^ (hash >>> 15)) & mask;; slot = (slot + 1) & mask) {
      const known = slots[slot] as number;
      if (known < 0) return slot;
      if (lengths[known] !== length) continue;
      const from = starts[known] as number;
      let k = 0;
      while (k < length && text[from + k] === text[start + k]) k++;
      if (k === length) return slot;
    }
  };
  const grow = (): void => {
    const { length } = slots;
    release(slots);
    slots = new Int32Array(2 * length).fill(-1);
    for (let k = 0; k < starts.length; k++) slots[slotOf(starts[k] as number, lengths[k] as number)] = k;
  };
  const numberOf = (start: number, length: number): number => {
    const slot = slotOf(start, length);
    const known = slots[slot] as number;
    if (known >= 0) return known;
    const number = starts.length;
    slots[slot] = number;
    starts.push(start);
    lengths.push(length);
    if (2 * starts.length >= slots.length) grow();
    return number;
  };
  return { numberOf, starts, lengths };
}
