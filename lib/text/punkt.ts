/**
 * Punkt's decision procedure (Kiss and Strunk 806, as in NLTK): at every `.`, `?` or `!` before a space, does a
 * sentence end here? It asks the trained tables first and the hand-made lists second. Two additions of our own:
 * spaced abbreviations ("z. B.") count as one, and a number or letter that opens a sentence is a list mark.
 */
import { type PunktSeeds, punktSeeds } from "./punkt_seeds.ts";
import {
  isAbbreviation,
  isInitial,
  NUMBER,
  type PunktToken,
  punktToken,
  punktWords,
} from "./punkt_tokens.ts";
import { ORTHO, type PunktModel } from "./punkt_train.ts";

/**
 * A whole run of end marks (the lookbehind keeps long runs linear), perhaps a footnote mark and closing quotes or
 * brackets, then space; CJK marks need no space. Greek asks with a semicolon; French sets a space before its closing
 * guillemet, which in German would open a quotation.
 */
function candidates(language: string): RegExp {
  const base = language.toLowerCase().split(/[-_]/)[0];
  const marks = `[.?!…।॥؟۔։።${base === "el" ? ";\u037e" : ""}]`;
  const spaced = base === "fr" ? "(?:[ \u00a0\u202f]»)?" : "";
  return new RegExp(
    `(?<!${marks})(${marks}+)(?:\\[\\d{1,3}\\])?["'”“’‘»«›‹)\\]}*]*${spaced}(?=\\s)|[。！？]+[”’」』）]*`,
    "gu",
  );
}

/** What stands before the word that carries the end mark. */
const BEFORE_WORD: ReadonlySet<string> = new Set(' \t\n\u00a0\u2009\u202f"([{<„“”»«‚‘*;,:&—–@');

/** The word at the end of text; walking back is far quicker than a search for an end. */
function lastWord(text: string): string {
  let from = text.length;
  while (from > 0 && !BEFORE_WORD.has(text.charAt(from - 1))) from--;
  return text.slice(from);
}

const NO_MODEL: PunktModel = {
  abbreviations: new Set(),
  sentenceStarters: new Set(),
  collocations: new Set(),
  orthography: new Map(),
};

type Verdict = "break" | "join";
type Place = { readonly before: string; readonly word: string; readonly next: PunktToken };

/** Makes a function that cuts one paragraph into sentences; the pieces still carry the space around them. */
export function punktSplitter(
  language: string,
  model: PunktModel = NO_MODEL,
): (paragraph: string) => string[] {
  const seeds = punktSeeds(language);
  const candidate = candidates(language);
  return (paragraph) => {
    const pieces: string[] = [];
    let start = 0;
    for (const match of paragraph.matchAll(candidate)) {
      const end = match.index + match[0].length;
      const marks = match[1];
      if (marks !== undefined) {
        const next = nextToken(paragraph, end);
        if (!next) break;
        const before = paragraph.slice(Math.max(start, match.index - 80), match.index);
        const word = lastWord(before);
        const place = { before: before.slice(0, before.length - word.length), word, next };
        const fresh = start + 80 >= match.index && paragraph.slice(start, match.index).trim() === word;
        if (decide(marks, place, fresh, model, seeds) === "join") continue;
      }
      pieces.push(paragraph.slice(start, end));
      start = end;
    }
    pieces.push(paragraph.slice(start));
    return pieces;
  };
}

function nextToken(paragraph: string, end: number): PunktToken | undefined {
  const word = /^\s+["'“„‚‘«»‹›([{*¿¡—–-]*(\S+)/u.exec(paragraph.slice(end, end + 100))?.[1];
  const first = word === undefined ? undefined : punktWords(word)[0];
  return first === undefined ? undefined : punktToken(first);
}

function decide(marks: string, place: Place, fresh: boolean, model: PunktModel, seeds: PunktSeeds): Verdict {
  if (/[^.…]/.test(marks)) return "break";
  if (marks !== ".") return afterAbbreviation(place, model, seeds); // an ellipsis
  const token = punktToken(`${place.word}.`);
  const bare = spacedAbbreviation(place, seeds) ?? token.bare;
  const known = isAbbreviation(bare, seeds.prefixes) || isAbbreviation(bare, seeds.abbreviations);
  if (isAbbreviation(bare, seeds.prefixes)) return "join";
  const numbered = seeds.beforeNumber.has(bare) || /\p{L}{3}str$/u.test(bare); // "Bahnhofstr. 5"
  if (numbered && /^[\d§]/.test(place.next.text)) return "join";
  if (model.collocations.has(`${token.type === NUMBER ? NUMBER : bare}\t${place.next.bare}`)) return "join";
  if (fresh && /^[IVXL]+$/.test(place.word)) return "join"; // "IV. Our schools"
  const initial = isInitial(token) && !(known && bare !== token.bare);
  if (!initial && (known || isAbbreviation(bare, model.abbreviations))) {
    return afterAbbreviation(place, model, seeds);
  }
  if (initial) return fresh ? "join" : afterInitial(place, model, seeds);
  if (token.type === NUMBER) return afterNumber(place, fresh, model, seeds);
  return "break";
}

function afterAbbreviation({ next }: Place, model: PunktModel, seeds: PunktSeeds): Verdict {
  if (orthographic(next, model) === "starts") return "break";
  const listed = seeds.starters.has(next.bare) || model.sentenceStarters.has(next.bare);
  return next.firstCase === "upper" && listed ? "break" : "join";
}

function afterInitial({ before, next }: Place, model: PunktModel, seeds: PunktSeeds): Verdict {
  if (isInitial(next)) return "join"; // "H. G. Wells"
  if (next.firstCase === "upper" && seeds.starters.has(next.bare)) return "break";
  if (/(?<![\p{L}\p{N}])\p{L}\.\s*$/u.test(before)) return "join"; // "G." in "H. G. Wells"
  const judged = orthographic(next, model);
  if (judged === "inside") return "join";
  const everLower = ((model.orthography.get(next.bare) ?? 0) & ORTHO.lower) !== 0;
  return judged === "unknown" && next.firstCase === "upper" && !everLower ? "join" : "break";
}

function afterNumber(
  { before, word, next }: Place,
  fresh: boolean,
  model: PunktModel,
  seeds: PunktSeeds,
): Verdict {
  const small = /^\d{1,3}$/.test(word);
  // "11. 9. 2001", in languages that write ordinals with a period.
  const dated = seeds.afterOrdinal.size > 0 && /^\d{1,2}$/.test(word);
  if (dated && (/^\d{1,2}\.$/.test(next.text) || /^\d{4}\b/.test(next.text) && /\d\.\s$/.test(before))) {
    return "join";
  }
  if (small && (fresh || seeds.afterOrdinal.has(next.bare))) return "join";
  if (orthographic(next, model) === "inside") return "join";
  const previous = /(\S+)\s+$/u.exec(before)?.[1]?.toLowerCase() ?? "";
  const starts = next.firstCase !== "upper" || seeds.starters.has(next.bare);
  return small && !starts && seeds.beforeOrdinal.has(previous) ? "join" : "break";
}

/** "z. B." asked at its last period is "z.b"; undefined when the letters before do not make a listed abbreviation. */
function spacedAbbreviation({ before, word }: Place, seeds: PunktSeeds): string | undefined {
  if (!/^\p{L}{1,3}$/u.test(word)) return undefined;
  const letters = /((?:(?<![\p{L}\p{N}.])\p{L}\.\s*)+)$/u.exec(before)?.[1] ?? spacedLetters(before);
  const parts = letters.replace(/\s/g, "").toLowerCase().split(".").filter((part) => part !== "");
  for (let from = 0; from < parts.length; from++) {
    const type = [...parts.slice(from), word.toLowerCase()].join(".");
    if (seeds.prefixes.has(type) || seeds.abbreviations.has(type)) return type;
  }
  return undefined;
}

function spacedLetters(before: string): string {
  return /(?:^|[\s("„“])((?:\p{L}\.\s+)+)$/u.exec(before)?.[1] ?? "";
}

/** The orthographic rule: what the case of the next word says, given where it was seen with which case. */
function orthographic(next: PunktToken, model: PunktModel): "starts" | "inside" | "unknown" {
  if (/^[;:,.!?]/.test(next.text)) return "inside";
  const bits = model.orthography.get(next.bare) ?? 0;
  if (next.firstCase === "upper" && (bits & ORTHO.lower) !== 0 && (bits & ORTHO.midUpper) === 0) {
    return "starts";
  }
  if (next.firstCase === "lower" && ((bits & ORTHO.upper) !== 0 || (bits & ORTHO.beginLower) === 0)) {
    return "inside";
  }
  return "unknown";
}
