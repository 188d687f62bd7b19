/**
 * The tokens Punkt looks at (Kiss and Strunk 2006, as in NLTK's tokenizer): the final period stays on its token,
 * numbers become one type, and typographic quotes and dashes count like their typewriter forms.
 */

/** The type every number has. */
export const NUMBER = "##number##";

const MULTI = String.raw`(?:-{2,}|\.{2,}|(?:\.\s){2,}\.|[—…])`;
const NON_WORD = String.raw`[)";}\]*:@'({\[?!“”„«»‚‘’—]`;
const TOKEN = new RegExp(
  String
    .raw`${MULTI}|(?=[^\s("${"`"}{\[:;&#*@)}\],“”„«»‚‘—-])\S+?(?=\s|$|${NON_WORD}|${MULTI}|,(?:$|\s|${NON_WORD}|${MULTI}))|\S`,
  "gu",
);

/** A word of running text with what Punkt asks about it. */
export type PunktToken = {
  /** As it stands in the text. */
  readonly text: string;
  /** Lower case, numbers replaced, final period kept. */
  readonly type: string;
  /** `type` without its final period. */
  readonly bare: string;
  readonly endsInPeriod: boolean;
  /** Case of the first character. */
  readonly firstCase: "upper" | "lower" | "none";
};

/** Cuts text into the texts of its tokens. */
export function punktWords(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** The facts about one token. */
export function punktToken(text: string): PunktToken {
  const lower = text.toLowerCase();
  const type = /^-?[.,]?\d[\d,.-]*\.?$/.test(lower) ? NUMBER : lower;
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  return {
    text,
    type,
    bare: type.length > 1 && type.endsWith(".") ? type.slice(0, -1) : type,
    endsInPeriod: text.endsWith("."),
    firstCase: first !== first.toLowerCase() ? "upper" : first !== first.toUpperCase() ? "lower" : "none",
  };
}

/** Two or more dots, or their typographic form. */
export function isEllipsis(token: PunktToken): boolean {
  return /^(?:\.{2,}|(?:\.\s)+\.|…)$/.test(token.text);
}

/** One letter and a period. */
export function isInitial(token: PunktToken): boolean {
  return /^\p{L}\.$/u.test(token.text);
}

/** Letters only. */
export function isAlphabetic(token: PunktToken): boolean {
  return /^\p{L}+$/u.test(token.text);
}

/** Has a letter or a digit. */
export function isWord(token: PunktToken): boolean {
  return /[\p{L}\p{N}]/u.test(token.type);
}

/** The type in the list of abbreviations, whole or after its last hyphen. */
export function isAbbreviation(bare: string, abbreviations: { has(type: string): boolean }): boolean {
  if (abbreviations.has(bare)) return true;
  const dash = bare.lastIndexOf("-");
  return dash >= 0 && abbreviations.has(bare.slice(dash + 1));
}
