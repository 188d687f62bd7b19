/**
 * From the bytes of a line to the numbers of its pieces. Words come again and again, so each is cleaned and cut once and looked
 * up by its bytes from then on; nothing is decoded. Where the pieces of a word may depend on what stands around it, or a byte is
 * not plain text, the whole line goes through the cleaning and the tokenizer, and so do tokenizers that tell nothing of words.
 */
import { albertPieces, type PieceTable } from "../tasks/mod.ts";
import { preprocessText, pythonStrip } from "../text/mod.ts";
import type { RecordsTokenizer } from "./config.ts";

/** Encodes lines; the numbers of the last one stand in an array until the next call. */
export type LineEncoder = {
  /**
   * Encodes `bytes[from .. to - 1]`, a line without its end; `decode` gives its text or throws. Returns the count of numbers,
   * or -1 for a line that ends a document.
   */
  readonly line: (bytes: Uint8Array, from: number, to: number, decode: () => string) => number;
  /** The numbers of the last line. */
  readonly numbers: () => Int32Array;
};

/** Longer words are rare and not remembered; in bytes. */
const LONGEST = 64;
/** Bytes of words that are remembered, with everything about them some 5 MB; all is forgotten when it is full. */
const ROOM = 1 << 19;

const BLANK = 32;
const TAB = 9;

/** Starts with no word known. */
export function lineEncoder(
  tokenizer: RecordsTokenizer,
  table: PieceTable,
  { lower }: { readonly lower: boolean },
): LineEncoder {
  const { certainty, encode } = tokenizer;
  const wordpiece = tokenizer.style === "wordpiece";
  const clean = (text: string): string => wordpiece ? pythonStrip(text) : preprocessText(text, { lower });
  const piecesOf = (text: string): readonly string[] => wordpiece ? encode(text) : albertPieces(encode, text);
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const unknown = tokenizer.idOf("\0 \0"); // no vocabulary has such a piece
  const memory = wordMemory();
  let numbers = new Int32Array(1024);
  const whole = (text: string): number => {
    const cleaned = clean(text);
    if (cleaned === "") return -1;
    const pieces = piecesOf(cleaned);
    if (pieces.length > numbers.length) numbers = new Int32Array(2 * pieces.length);
    for (let k = 0; k < pieces.length; k++) numbers[k] = table.idOf(pieces[k] ?? "");
    return pieces.length;
  };
  /** What a new word becomes; limit 0 when it must not be looked at alone. */
  const cut = (bytes: Uint8Array): CutWord => {
    let text: string;
    try {
      text = clean(decodeWord(bytes, strict));
    } catch {
      return UNSURE; // no UTF-8: the line says where
    }
    if (text === "" || text.includes(" ")) return UNSURE;
    const sure = certainty?.(text);
    if (sure === undefined) return UNSURE;
    const { ids, limit, cost } = sure;
    // What the tasks need of an unknown piece is in its text, and a comma behind a digit has a rule.
    const plain = ids.every((id) => id >= 0 && id !== unknown) && (wordpiece || !text.includes(","));
    return { limit, cost, numbers: plain ? ids : Int32Array.from(piecesOf(text), table.idOf) };
  };
  const line: LineEncoder["line"] = (bytes, from, to, decode) => {
    if (certainty === undefined) return whole(decode());
    if (to - from > numbers.length) numbers = new Int32Array(2 * (to - from));
    let count = 0;
    let cost = 0;
    let blank = true;
    for (let at = from; at < to;) {
      let byte = bytes[at]!; // in range: below to
      if (byte === BLANK || byte === TAB) {
        at++;
        continue;
      }
      blank = false;
      const begin = at;
      let hash = 0;
      do {
        if (byte < BLANK) return whole(decode());
        hash = hashStep(hash, byte);
        if (++at === to) break;
        byte = bytes[at]!; // in range: below to
      } while (byte !== BLANK && byte !== TAB);
      if (at - begin > LONGEST) return whole(decode());
      let word = memory.find(bytes, begin, at, hash);
      if (word < 0) word = memory.keep(bytes, begin, at, hash, cut(bytes.subarray(begin, at)));
      if (!(cost < memory.limit(word))) return whole(decode());
      cost += memory.cost(word);
      const last = memory.first(word + 1);
      // A comma rule may make more pieces than the word has bytes.
      if (count + last - memory.first(word) > numbers.length) numbers = longer(numbers);
      for (let k = memory.first(word); k < last; k++) numbers[count++] = memory.number(k);
    }
    return blank ? -1 : count;
  };
  return { line, numbers: () => numbers };
}

/** The text of a word; a decoder is slow to call for a few bytes, and most words are ASCII. */
function decodeWord(bytes: Uint8Array, decoder: TextDecoder): string {
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!; // in range
    if (byte > 127) return decoder.decode(bytes);
    text += String.fromCharCode(byte);
  }
  return text;
}

/** A hash with one more byte. */
const hashStep = (hash: number, byte: number): number =>
  Math.imul((hash << 5 | hash >>> 27) ^ byte, 0x9e3779b1);

/** What a word becomes, while the costs of the words before it are below its limit. */
type CutWord = { readonly numbers: Int32Array; readonly limit: number; readonly cost: number };

const UNSURE: CutWord = { numbers: new Int32Array(0), limit: 0, cost: 0 };

/** Words by number with what they became. */
type WordMemory = {
  /** The number of a word, -1 when it is new. */
  readonly find: (bytes: Uint8Array, begin: number, end: number, hash: number) => number;
  /** Numbers a new word; forgets all others when there is no room. */
  readonly keep: (
    bytes: Uint8Array,
    begin: number,
    end: number,
    hash: number,
    made: CutWord,
  ) => number;
  /** Where the numbers of a word begin; those of the next word are the end. */
  readonly first: (word: number) => number;
  readonly number: (place: number) => number;
  readonly limit: (word: number) => number;
  readonly cost: (word: number) => number;
};

function wordMemory(): WordMemory {
  let slots = new Int32Array(1 << 12); // word + 1, 0: free
  let letters = new Uint8Array(1 << 14);
  let starts = new Int32Array(1 << 11); // of each word in `letters`, and of the next one
  let firsts = new Int32Array(1 << 11);
  let hashes = new Int32Array(1 << 11);
  let limits = new Float64Array(1 << 11);
  let costs = new Float64Array(1 << 11);
  let numbers = new Int32Array(1 << 12);
  let words = 0;
  const slotOf = (hash: number): number => (hash ^ hash >>> 15) & slots.length - 1;
  const put = (word: number): void => {
    let slot = slotOf(hashes[word]!); // in range: below words
    while (slots[slot] !== 0) slot = slot + 1 & slots.length - 1;
    slots[slot] = word + 1;
  };
  const makeRoom = (bytes: number, more: number): void => {
    if (starts[words]! + bytes > ROOM) { // in range: one more than words
      slots.fill(0);
      words = 0;
    }
    while (starts[words]! + bytes > letters.length) letters = longer(letters); // in range
    while (firsts[words]! + more > numbers.length) numbers = longer(numbers); // in range
    if (words + 2 > starts.length) {
      [starts, firsts, hashes] = [longer(starts), longer(firsts), longer(hashes)];
      [limits, costs] = [longer(limits), longer(costs)];
    }
    if (3 * words > slots.length) {
      slots = new Int32Array(2 * slots.length);
      for (let word = 0; word < words; word++) put(word);
    }
  };
  return {
    find: (bytes, begin, end, hash) => {
      const length = end - begin;
      for (let slot = slotOf(hash); slots[slot] !== 0; slot = slot + 1 & slots.length - 1) {
        const word = slots[slot]! - 1; // in range: masked
        if (hashes[word] !== hash) continue;
        const from = starts[word]!; // in range
        if (starts[word + 1]! - from !== length) continue; // in range
        let k = 0;
        while (k < length && letters[from + k] === bytes[begin + k]) k++;
        if (k === length) return word;
      }
      return -1;
    },
    keep: (bytes, begin, end, hash, made) => {
      makeRoom(end - begin, made.numbers.length);
      letters.set(bytes.subarray(begin, end), starts[words]);
      numbers.set(made.numbers, firsts[words]);
      hashes[words] = hash;
      limits[words] = made.limit;
      costs[words] = made.cost;
      starts[words + 1] = starts[words]! + end - begin; // in range
      firsts[words + 1] = firsts[words]! + made.numbers.length; // in range
      put(words);
      return words++;
    },
    first: (word) => firsts[word]!, // in range: a number that find or keep gave, or one more
    number: (place) => numbers[place]!, // in range: below first(word + 1)
    limit: (word) => limits[word]!, // in range
    cost: (word) => costs[word]!, // in range
  };
}

/** The same numbers with room for as many again. */
function longer<A extends Uint8Array | Int32Array | Float64Array>(array: A): A {
  const twice = new (array.constructor as new (length: number) => A)(2 * array.length);
  twice.set(array);
  return twice;
}
