/**
 * Sentences as small numbers of their characters, numbered in order of appearance, in one array as narrow as the number
 * of different characters allows: a byte for each character of most texts, so a gigabyte of text takes a gigabyte.
 */

import { release } from "./release.ts";

/** Text in symbol numbers. */
export type Symbols = Uint8Array | Uint16Array | Int32Array;

const most = 0x7ffffff0; // places are kept as int32

/** The narrowest array for so many different symbols. */
export function makeSymbols(kinds: number, length: number): Symbols {
  if (length > most) throw tooLong(length);
  if (kinds <= 256) return new Uint8Array(length);
  return kinds <= 65536 ? new Uint16Array(length) : new Int32Array(length);
}

function tooLong(length: number): RangeError {
  return new RangeError(
    `Cannot train the tokenizer: the text has ${length} characters, at most ${most} are possible; ` +
      "set input_sentence_size to use a sample",
  );
}

/** Sentences in an array; 0 stands behind each. */
export type SymbolText = {
  readonly text: Symbols;
  /** Where each sentence starts and ends, alternating. */
  readonly bounds: Int32Array;
  /** Code point of each symbol number; number 0 is the end of a sentence. */
  readonly codePoints: readonly number[];
};

/** Where sentences are written. */
export type SymbolWriter = {
  /** Adds a character to the sentence that is being written. */
  readonly put: (cp: number) => void;
  /** Ends it as the next sentence. */
  readonly append: () => void;
  /** Ends it in place of an earlier one. */
  readonly replace: (slot: number) => void;
  readonly finish: () => SymbolText;
};

/** Makes an empty store; what a replaced sentence leaves behind is squeezed out when it is half of all. */
export function makeSymbolWriter(): SymbolWriter {
  const numbers = new Int32Array(0x110000); // by code point; 0: not seen yet
  const codePoints = [0];
  let text = makeSymbols(1, 1 << 16);
  let used = 0;
  let begun = 0; // where the sentence being written starts
  let garbage = 0;
  let bounds = new Int32Array(1 << 10);
  let count = 0;
  const moved = (length: number): void => {
    const larger = makeSymbols(codePoints.length, length);
    larger.set(text.subarray(0, used));
    release(text);
    text = larger;
  };
  const numbered = (cp: number): number => {
    const number = codePoints.push(cp) - 1;
    numbers[cp] = number;
    if (number === 256 || number === 65536) moved(text.length);
    return number;
  };
  const place = (number: number): void => {
    if (used === text.length) {
      if (used >= most) throw tooLong(used + 1);
      moved(Math.min(most, 2 * used));
    }
    text[used++] = number;
  };
  const squeeze = (): void => {
    const packed = makeSymbols(codePoints.length, Math.max(1 << 16, 2 * (used - garbage)));
    let to = 0;
    for (let i = 0; i < 2 * count; i += 2) {
      const part = text.subarray(bounds[i] as number, (bounds[i + 1] as number) + 1); // with the 0 behind it
      packed.set(part, to);
      bounds[i] = to;
      to += part.length;
      bounds[i + 1] = to - 1;
    }
    release(text);
    text = packed;
    used = begun = to;
    garbage = 0;
  };
  const end = (slot: number): void => {
    bounds[2 * slot] = begun;
    bounds[2 * slot + 1] = used;
    place(0);
    begun = used;
  };
  return {
    put: (cp) => {
      const known = numbers[cp] as number;
      place(known === 0 ? numbered(cp) : known);
    },
    append: () => {
      if (2 * count === bounds.length) {
        const larger = new Int32Array(2 * bounds.length);
        larger.set(bounds);
        bounds = larger;
      }
      end(count++);
    },
    replace: (slot) => {
      garbage += (bounds[2 * slot + 1] as number) - (bounds[2 * slot] as number) + 1;
      end(slot);
      if (garbage > used / 2 && used > 1 << 20) squeeze();
    },
    finish: () => ({ text, bounds: bounds.subarray(0, 2 * count), codePoints }),
  };
}
