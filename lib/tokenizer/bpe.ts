/**
 * Byte pair encoding as SentencePiece does it: neighbours merge, best score first and leftmost among equals, user-defined
 * symbols stay whole, and a result that is marked unused is taken apart again (bpe_model.cc).
 */
import { makeAgenda } from "./agenda.ts";
import type { Piece } from "./model_file.ts";
import type { Path } from "./segment_lattice.ts";
import type { Search } from "./viterbi.ts";
import { symbolLengthAt, textPieces } from "./whole_units.ts";
import { makeWordSearchBy, type Unit, type WordBounds } from "./word_memory.ts";

type Part = { text: string; end: number; previous: number; next: number; readonly whole: boolean };
type Pair = { readonly left: number; readonly right: number; readonly text: string; readonly score: number };
type Merger = (codePoints: Int32Array, count: number, skip: () => boolean) => readonly Unit[];

function makeMerger(pieces: readonly Piece[], unkId: number): Merger {
  const known = textPieces(pieces);
  const symbolAt = symbolLengthAt(pieces);
  return (codePoints, count, skip) => {
    const parts = split(codePoints, count, symbolAt);
    const halves = new Map<string, readonly [string, string]>();
    const agenda = makeAgenda<Pair>(({ score }) => score, (a, b) => a.left > b.left);
    const offer = (left: number, right: number): void => {
      const [a, b] = [parts[left], parts[right]];
      if (a === undefined || b === undefined || a.whole || b.whole) return;
      const text = a.text + b.text;
      const id = known.get(text);
      if (id === undefined) return;
      const { score, type } = pieces[id] as Piece;
      agenda.push({ left, right, text, score });
      if (type === "unused") halves.set(text, [a.text, b.text]);
    };
    for (let right = 1; right < parts.length; right++) offer(right - 1, right);
    for (let pair = agenda.pop(); pair !== undefined; pair = agenda.pop()) {
      const [a, b] = [parts[pair.left] as Part, parts[pair.right] as Part];
      if (
        a.text === "" || b.text === "" || a.text + b.text !== pair.text || a.next !== pair.right || skip()
      ) continue;
      a.text = pair.text;
      a.end = b.end;
      a.next = b.next;
      const after = parts[b.next];
      if (after !== undefined) after.previous = pair.left;
      b.text = "";
      offer(a.previous, pair.left);
      offer(pair.left, a.next);
    }
    return parts.filter(({ text }) => text !== "").flatMap((part) =>
      apart(part, { pieces, known, halves, unkId })
    );
  };
}

function split(
  codePoints: Int32Array,
  count: number,
  symbolAt: (codePoints: Int32Array, at: number, count: number) => number,
): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < count;) {
    const symbol = symbolAt(codePoints, at, count);
    const text = String.fromCodePoint(...codePoints.subarray(at, at + (symbol || 1)));
    at += symbol || 1;
    const place = parts.length;
    parts.push({ text, end: at, previous: place - 1, next: place + 1, whole: symbol > 0 });
  }
  return parts;
}

type Lookup = {
  readonly pieces: readonly Piece[];
  readonly known: ReadonlyMap<string, number>;
  readonly halves: ReadonlyMap<string, readonly [string, string]>;
  readonly unkId: number;
};

function apart(
  { text, end }: { readonly text: string; readonly end: number },
  lookup: Lookup,
): readonly Unit[] {
  const id = lookup.known.get(text) ?? lookup.unkId;
  const two = lookup.pieces[id]?.type === "unused" ? lookup.halves.get(text) : undefined;
  if (two === undefined) return [{ id, end }];
  const [left, right] = two;
  return [
    ...apart({ text: left, end: end - Array.from(right).length }, lookup),
    ...apart({ text: right, end }, lookup),
  ];
}

/** The search of a BPE model. */
export type BpeSearch = Search & {
  /** A segmentation in which each possible merge is left out with probability `alpha` (BPE dropout). */
  readonly mergeAtRandom: (
    codePoints: Int32Array,
    count: number,
    alpha: number,
    random: () => number,
  ) => Path;
};

/** Makes the search of a BPE model. */
export function makeBpeSearch(pieces: readonly Piece[], unkId: number): BpeSearch {
  const merge = makeMerger(pieces, unkId);
  return {
    ...makeWordSearchBy((codePoints, count) => merge(codePoints, count, () => false), boundsOf(pieces)),
    mergeAtRandom: (codePoints, count, alpha, random) => {
      const units = merge(codePoints, count, () => random() < alpha);
      return { ids: units.map(({ id }) => id), ends: units.map(({ end }) => end), score: 0 };
    },
  };
}

/** Where no piece joins what stands on both sides, merges on one side never touch the other. */
function boundsOf(pieces: readonly Piece[]): WordBounds {
  // What is marked unused is taken apart as it was joined last, in whichever word that was.
  const alone = pieces.every(({ type }) => type !== "unused");
  const texts = [...textPieces(pieces).keys()];
  const apart = (pattern: RegExp): boolean => alone && !texts.some((text) => pattern.test(text));
  return {
    beforeBlanks: apart(/[^\u2581]\u2581/u),
    afterBlanks: apart(/\u2581[^\u2581]/u),
    betweenBlanks: apart(/\u2581\u2581/u),
  };
}
