/**
 * What is cleaned from text before it becomes sentences: named steps, each counted, so that a report can say what was
 * changed and how often. Nothing here touches letters: case, accents and Unicode forms are the tokenizer's business.
 */

/**
 * The cleaning steps: `control` (control characters become spaces), `invisible` (soft hyphens, byte order marks, word
 * joiners and marks of direction are removed), `blank` (a run of white space, or white space other than one plain space,
 * becomes one space), `duplicates` (a document whose text came before is left out).
 *
 * @example
 * ```ts
 * import { CLEANING_STEPS, type CleaningStep } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const steps: readonly CleaningStep[] = CLEANING_STEPS;
 * assert.deepEqual(steps, ["control", "invisible", "blank", "duplicates"]);
 * ```
 */
export type CleaningStep = "control" | "invisible" | "blank" | "duplicates";

/**
 * All cleaning steps, in the order in which they work.
 *
 * @example
 * ```ts
 * import { CLEANING_STEPS } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * assert.equal(CLEANING_STEPS.at(-1), "duplicates");
 * ```
 */
export const CLEANING_STEPS: readonly CleaningStep[] = ["control", "invisible", "blank", "duplicates"];

/** How often each step did something: characters, characters, runs of white space, documents. */
export type CleaningCounts = Record<CleaningStep, number>;

/** Cleans paragraphs and knows documents that came before. */
export type Cleaner = {
  /** The cleaned paragraph; counts what it does. */
  readonly paragraph: (text: string) => string;
  /** Whether a document with the same cleaned paragraphs came before; always false without `duplicates`. */
  readonly seen: (paragraphs: readonly string[]) => boolean;
  readonly counts: CleaningCounts;
};

/** Anything but plain text with single spaces: most paragraphs have nothing of it. */
const DIRTY =
  // deno-lint-ignore no-control-regex -- control characters are what it finds
  /[\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f\u2060\u2066-\u2069\u3000\ufeff]| {2}/;
// deno-lint-ignore no-control-regex -- as above; what JavaScript calls white space is left to the step after
const CONTROL = /[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]/g;
const INVISIBLE = /[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;
const BLANK = /[\s\u0085\u200b]{2,}|[^\S ]|[\u0085\u200b]/g;
/** What would end a line of a raw file for some reader; never kept. */
const LINE_ENDS = /[\n\v\f\r\u0085\u2028\u2029]+/g;

/** No steps done yet. */
export function noCounts(): CleaningCounts {
  return { control: 0, invisible: 0, blank: 0, duplicates: 0 };
}

/** Whether text needs no cleaning at all. */
export function isClean(text: string): boolean {
  return !DIRTY.test(text);
}

/**
 * Makes a cleaner of the given steps.
 *
 * @throws {RangeError} When a name is no step.
 */
export function openCleaner(steps: readonly CleaningStep[], counts: CleaningCounts = noCounts()): Cleaner {
  const wrong = steps.find((step) => !CLEANING_STEPS.includes(step));
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot clean text: there is no step ${JSON.stringify(wrong)}; choose of ${CLEANING_STEPS.join(", ")}`,
    );
  }
  const does = (step: CleaningStep): boolean => steps.includes(step);
  const rules: readonly [CleaningStep, RegExp, string][] = [
    ...(does("control") ? [["control", CONTROL, " "] as const] : []),
    ...(does("invisible") ? [["invisible", INVISIBLE, ""] as const] : []),
    ...(does("blank") ? [["blank", BLANK, " "] as const] : []),
  ].map(([step, rule, by]) => [step, rule, by]);
  const known = does("duplicates") ? hashSet() : undefined;
  return {
    counts,
    paragraph: (text) => {
      if (isClean(text)) return text.trim();
      let clean = text;
      for (const [step, rule, by] of rules) {
        clean = clean.replace(rule, () => {
          counts[step]++;
          return by;
        });
      }
      return clean.replace(LINE_ENDS, " ").trim();
    },
    seen: (paragraphs) => {
      if (known === undefined || known.add(paragraphs)) return false;
      counts.duplicates++;
      return true;
    },
  };
}

/** Texts by a hash of 64 bits, in a table that doubles: at most 32 bytes a text, and far less than the text. */
function hashSet(): { readonly add: (texts: readonly string[]) => boolean } {
  let table = new Uint32Array(2 << 12);
  let size = 0;
  const place = (into: Uint32Array, low: number, high: number): number => {
    const mask = into.length / 2 - 1;
    let at = low & mask;
    while (into[2 * at] !== 0 || into[2 * at + 1] !== 0) {
      if (into[2 * at] === low && into[2 * at + 1] === high) return -1;
      at = (at + 1) & mask;
    }
    return at;
  };
  const put = (into: Uint32Array, at: number, low: number, high: number): void => {
    into[2 * at] = low;
    into[2 * at + 1] = high;
  };
  const grow = (): void => {
    const wider = new Uint32Array(table.length * 2);
    for (let i = 0; i < table.length; i += 2) {
      const [low, high] = [table[i] as number, table[i + 1] as number];
      if (low !== 0 || high !== 0) put(wider, place(wider, low, high), low, high);
    }
    table = wider;
  };
  return {
    add: (texts) => {
      const { low, high } = hash64(texts);
      const at = place(table, low, high);
      if (at < 0) return false;
      put(table, at, low, high);
      if (++size * 2 > table.length / 2) grow();
      return true;
    },
  };
}

/**
 * Two 32-bit hashes of all characters, multiplied and mixed as in MurmurHash3 with two different constants; `high` is never
 * 0, which means an empty place. Among ten million texts two that differ share a hash with a chance of 3 in a million.
 */
function hash64(texts: readonly string[]): { readonly low: number; readonly high: number } {
  let low = 0x9e3779b9;
  let high = 0x41c6ce57;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      low = Math.imul(low ^ code, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(high ^ code, 0xc2b2ae35);
      high ^= high >>> 13;
    }
    low = Math.imul(low ^ 10, 0x85ebca6b); // the end of a paragraph
    high = Math.imul(high ^ 10, 0xc2b2ae35);
  }
  return { low: mix(low ^ Math.imul(high, 0x27d4eb2f)), high: mix(high) || 1 };
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
