/**
 * A search that cuts a text at blank marks and remembers how each word was cut: words come again and again, and the BPE and
 * word models know no score that reaches over them. What is remembered is bounded: it is forgotten as a whole when full.
 */
import { blankMark } from "./normalizer.ts";
import type { Search } from "./viterbi.ts";

/** A piece of a text: its id, and the place behind it in code points. */
export type Unit = { readonly id: number; readonly end: number };

/** Where words end; nowhere in a text when all are false. */
export type WordBounds = {
  /** Before a blank mark that follows something else. */
  readonly beforeBlanks: boolean;
  /** Behind a blank mark that something else follows. */
  readonly afterBlanks: boolean;
  /** Between two blank marks. */
  readonly betweenBlanks: boolean;
};

/** Code points and units kept at most, together at most some 20 MB. */
const ROOM = 1 << 20;
/** Longer words are rare and not remembered. */
const LONGEST = 64;

/** Makes the search; `cut` gets one word. */
export function makeWordSearchBy(
  cut: (codePoints: Int32Array, count: number) => readonly Unit[],
  { beforeBlanks, afterBlanks, betweenBlanks }: WordBounds,
): Search {
  const memory = makeMemory();
  let ids = new Int32Array(0);
  let ends = new Int32Array(0);
  let size = 0;
  const put = (id: number, end: number): void => {
    ids[size] = id;
    ends[size++] = end;
  };
  const run = (codePoints: Int32Array, count: number): number => {
    if (count > ids.length) {
      ids = new Int32Array(2 * count + 64);
      ends = new Int32Array(2 * count + 64);
    }
    size = 0;
    for (let begin = 0; begin < count;) {
      let end = begin + 1;
      for (let last = codePoints[begin] === blankMark; end < count; end++) {
        const blank = codePoints[end] === blankMark;
        if (last ? blank ? betweenBlanks : afterBlanks : blank && beforeBlanks) break;
        last = blank;
      }
      if (end - begin > LONGEST) {
        for (const unit of cut(codePoints.subarray(begin, end), end - begin)) put(unit.id, begin + unit.end);
      } else {
        const word = memory.wordAt(codePoints, begin, end, cut);
        for (let k = memory.first(word); k < memory.first(word + 1); k++) {
          put(memory.id(k), begin + memory.end(k));
        }
      }
      begin = end;
    }
    return size;
  };
  return { run, ids: () => ids, ends: () => ends };
}

/** Words by number, with their units one after another. */
type Memory = {
  /** The number of a word, cut and kept if it is new. */
  readonly wordAt: (
    codePoints: Int32Array,
    begin: number,
    end: number,
    cut: (codePoints: Int32Array, count: number) => readonly Unit[],
  ) => number;
  /** The first unit of a word; that of the next one is the end. */
  readonly first: (word: number) => number;
  readonly id: (unit: number) => number;
  readonly end: (unit: number) => number;
};

function makeMemory(): Memory {
  let slots = new Int32Array(1 << 8); // word + 1, 0: free
  let letters = new Int32Array(1 << 12);
  let starts = new Int32Array(1 << 10); // of each word in `letters`, and of the next one
  let firsts = new Int32Array(1 << 10);
  let ids = new Int32Array(1 << 12);
  let ends = new Uint8Array(1 << 12);
  let words = 0;
  const keep = (codePoints: Int32Array, begin: number, end: number, units: readonly Unit[]): number => {
    const [from, first] = [starts[words] as number, firsts[words] as number];
    while (from + end - begin > letters.length) letters = longer(letters);
    if (words + 2 > starts.length) [starts, firsts] = [longer(starts), longer(firsts)];
    if (first + units.length > ids.length) {
      ids = longer(ids);
      const wider = new Uint8Array(ids.length);
      wider.set(ends);
      ends = wider;
    }
    letters.set(codePoints.subarray(begin, end), from);
    units.forEach((unit, k) => {
      ids[first + k] = unit.id;
      ends[first + k] = unit.end;
    });
    starts[words + 1] = from + end - begin;
    firsts[words + 1] = first + units.length;
    return words++;
  };
  const growSlots = (): void => {
    slots = new Int32Array(2 * slots.length);
    for (let word = 0; word < words; word++) {
      let slot = hashOf(letters, starts[word] as number, starts[word + 1] as number) & slots.length - 1;
      while (slots[slot] !== 0) slot = slot + 1 & slots.length - 1;
      slots[slot] = word + 1;
    }
  };
  const wordAt: Memory["wordAt"] = (codePoints, begin, end, cut) => {
    const length = end - begin;
    let slot = hashOf(codePoints, begin, end) & slots.length - 1;
    for (; slots[slot] !== 0; slot = slot + 1 & slots.length - 1) {
      const word = slots[slot] as number - 1;
      const from = starts[word] as number;
      if (starts[word + 1] as number - from !== length) continue;
      let k = 0;
      while (k < length && letters[from + k] === codePoints[begin + k]) k++;
      if (k === length) return word;
    }
    if (3 * words > slots.length || (starts[words] as number) + length > ROOM) {
      if (2 * slots.length <= ROOM) growSlots();
      else {
        slots.fill(0);
        words = 0;
      }
      for (slot = hashOf(codePoints, begin, end) & slots.length - 1; slots[slot] !== 0;) {
        slot = slot + 1 & slots.length - 1;
      }
    }
    const word = keep(codePoints, begin, end, cut(codePoints.subarray(begin, end), length));
    slots[slot] = word + 1;
    return word;
  };
  return {
    wordAt,
    first: (word) => firsts[word] as number,
    id: (unit) => ids[unit] as number,
    end: (unit) => ends[unit] as number,
  };
}

function hashOf(letters: Int32Array, begin: number, end: number): number {
  let hash = end - begin;
  for (let k = begin; k < end; k++) hash = Math.imul(hash ^ (letters[k] as number), 0x9e3779b1) ^ hash >>> 15;
  return hash ^ hash >>> 13;
}

function longer(array: Int32Array): Int32Array<ArrayBuffer> {
  const twice = new Int32Array(2 * array.length);
  twice.set(array);
  return twice;
}
