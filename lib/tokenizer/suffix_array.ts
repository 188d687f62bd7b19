/**
 * Suffix sorting in linear time by induction (Nong, Zhang, Chan: "Two Efficient Algorithms for Linear Time Suffix Array
 * Construction", 2011), and the lengths of common prefixes of neighbours up to a cap.
 */
import { part, type Steps } from "./pace.ts";
import { release } from "./release.ts";
import type { Symbols } from "./symbol_text.ts";

/**
 * Sorts all suffixes; the end of the text sorts before every symbol.
 *
 * @param text Symbols from 0 to `largest`.
 * @returns Steps (to rest in between), then the start of each suffix in order.
 */
export function* suffixArray(text: Symbols, largest: number): Steps<Int32Array> {
  const n = text.length;
  const order = new Int32Array(n);
  if (n === 0) return order;
  if (n === 1) return order;
  const starts = bucketStarts(text, largest);
  const { marks, count } = leftmostSmall(text);
  yield;
  // Round 1: sort the substrings between marks by inducing from any order of the marks.
  const places = new Int32Array(count);
  for (let i = 0, k = 0; i < n; i++) if (marks[i] === 1) places[k++] = i;
  yield* part(0, 0.3, induce(text, order, starts, places));
  const sorted = new Int32Array(count);
  for (let i = 0, k = 0; i < n; i++) {
    const at = order[i] as number;
    if (at >= 0 && marks[at] === 1) sorted[k++] = at;
  }
  yield;
  if (count > 1) {
    const { names, distinct } = nameSubstrings(text, places, sorted);
    yield;
    if (distinct < count) {
      const inner = yield* part(0.4, 0.7, suffixArray(names, distinct - 1));
      for (let k = 0; k < count; k++) sorted[k] = places[inner[k] as number] as number;
      release(inner);
    }
    release(names);
  }
  release(marks, places);
  yield* part(0.7, 1, induce(text, order, starts, sorted));
  release(sorted);
  return order;
}

/** First slot of each symbol's bucket; one more entry for the end. */
function bucketStarts(text: Symbols, largest: number): Int32Array {
  const starts = new Int32Array(largest + 2);
  for (let i = 0; i < text.length; i++) (starts[(text[i] as number) + 1] as number)++;
  for (let c = 0; c <= largest; c++) (starts[c + 1] as number) += starts[c] as number;
  return starts;
}

/** Marks each place that starts a falling-to-rising turn: smaller than its successor suffix, unlike its predecessor. */
function leftmostSmall(text: Symbols): { marks: Uint8Array; count: number } {
  const marks = new Uint8Array(text.length);
  let count = 0;
  let small = false; // the last suffix is larger than the empty one
  for (let i = text.length - 2; i >= 0; i--) {
    const a = text[i] as number;
    const b = text[i + 1] as number;
    const now: boolean = a < b || (a === b && small);
    if (!now && small) {
      marks[i + 1] = 1;
      count++;
    }
    small = now;
  }
  return { marks, count };
}

/** Puts the marked suffixes at the ends of their buckets in the given order and derives all others from them. */
function* induce(
  text: Symbols,
  order: Int32Array,
  starts: Int32Array,
  marked: Int32Array,
): Steps<void> {
  order.fill(-1);
  const ends = starts.slice(1);
  for (let k = marked.length - 1; k >= 0; k--) {
    const at = marked[k] as number;
    const c = text[at] as number;
    order[--(ends[c] as number)] = at;
  }
  yield;
  const front = starts.slice();
  const n = order.length;
  order[(front[text[n - 1] as number] as number)++] = n - 1;
  for (let from = 0; from < n; from += stride) {
    induceLarge(text, order, front, from, Math.min(n, from + stride));
    yield 0.5 * from / n;
  }
  const back = starts.slice(1);
  for (let to = n; to > 0; to -= stride) {
    induceSmall(text, order, back, Math.max(0, to - stride), to);
    yield 1 - 0.5 * to / n;
  }
}

/** Places between two rests. */
const stride = 1 << 20;

/** Left to right: each suffix puts its larger predecessor at the front of that one's bucket. */
function induceLarge(text: Symbols, order: Int32Array, front: Int32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const at = (order[i] as number) - 1;
    if (at < 0) continue;
    const c = text[at] as number;
    if (c >= (text[at + 1] as number)) order[(front[c] as number)++] = at;
  }
}

/** Right to left: each suffix puts its smaller predecessor at the back; this overwrites the marks of the start. */
function induceSmall(text: Symbols, order: Int32Array, back: Int32Array, from: number, to: number): void {
  for (let i = to - 1; i >= from; i--) {
    const at = (order[i] as number) - 1;
    if (at < 0) continue;
    const c = text[at] as number;
    const next = text[at + 1] as number;
    // Equal symbols: the predecessor is small like this suffix, which it is if it stands in the part filled so far.
    if (c < next || (c === next && i >= (back[c] as number))) order[--(back[c] as number)] = at;
  }
}

/** Numbers the substrings between marks by rank; the result is in text order. */
function nameSubstrings(
  text: Symbols,
  places: Int32Array,
  sorted: Int32Array,
): { names: Int32Array; distinct: number } {
  const n = text.length;
  const count = places.length;
  // Marks are at least two apart, so half the place is a unique slot.
  const lengths = new Int32Array((n >> 1) + 1);
  for (let k = 0; k < count; k++) {
    const at = places[k] as number;
    lengths[at >> 1] = k + 1 < count ? (places[k + 1] as number) - at + 1 : n - at;
  }
  const rank = new Int32Array((n >> 1) + 1);
  let name = 0;
  for (let k = 1; k < count; k++) {
    const a = sorted[k - 1] as number;
    const b = sorted[k] as number;
    const length = lengths[a >> 1] as number;
    let same = length === lengths[b >> 1] && a + length < n && b + length < n;
    for (let i = 0; same && i < length; i++) same = text[a + i] === text[b + i];
    if (!same) name++;
    rank[b >> 1] = name;
  }
  const names = new Int32Array(count);
  for (let k = 0; k < count; k++) names[k] = rank[(places[k] as number) >> 1] as number;
  release(lengths, rank);
  return { names, distinct: name + 1 };
}

/**
 * Length of the common prefix of each suffix and the one before it in order, at most `cap`.
 *
 * @returns Steps, then the lengths; entry 0 is 0.
 */
export function* commonPrefixes(
  text: Symbols,
  order: Int32Array,
  cap: number,
): Steps<Uint8Array | Uint16Array> {
  const n = order.length;
  const lengths = cap < 256 ? new Uint8Array(n) : new Uint16Array(n);
  for (let from = 1; from < n; from += stride) {
    prefixesOf(text, order, lengths, cap, from, Math.min(n, from + stride));
    yield from / n;
  }
  return lengths;
}

function prefixesOf(
  text: Symbols,
  order: Int32Array,
  lengths: Uint8Array | Uint16Array,
  cap: number,
  from: number,
  to: number,
): void {
  const n = text.length;
  for (let i = from; i < to; i++) {
    const a = order[i - 1] as number;
    const b = order[i] as number;
    const most = Math.min(cap, n - Math.max(a, b));
    let length = 0;
    while (length < most && text[a + length] === text[b + length]) length++;
    lengths[i] = length;
  }
}
