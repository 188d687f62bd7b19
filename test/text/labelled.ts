// The labelled sentences: hard cases with their boundaries, and how a splitter is scored on them.
import { readFileSync } from "node:fs";

/** One hard case: the text as a splitter sees it, and its sentences. */
export type LabelledCase = {
  readonly language: string;
  readonly category: string;
  readonly text: string;
  readonly sentences: readonly string[];
};

/** What a splitter reaches: whole cases right, and precision and recall of single boundaries. */
export type SentenceScore = {
  readonly cases: number;
  readonly right: number;
  readonly precision: number;
  readonly recall: number;
  /** The cases that are not right, each with the sentences that were found. */
  readonly wrong: readonly { readonly wanted: LabelledCase; readonly found: readonly string[] }[];
};

/** The cases of `test/golden/text/sentences_<name>.txt`. */
export function labelledCases(name: "en" | "de" | "other"): LabelledCase[] {
  const path = new URL(`../golden/text/sentences_${name}.txt`, import.meta.url);
  return readFileSync(path, "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("#")).map(
    (line) => {
      const [first = "", labelled = ""] = line.split("\t");
      return {
        language: name === "other" ? first : name,
        category: first,
        text: labelled.replaceAll(" | ", " ").replaceAll("|", ""),
        sentences: labelled.split(/ \| |\|/),
      };
    },
  );
}

/** Ends of all sentences but the last, counted in characters that are no space, so that spaces do not matter. */
function boundaries(sentences: readonly string[]): Set<number> {
  const ends = new Set<number>();
  let at = 0;
  for (const sentence of sentences.slice(0, -1)) ends.add(at += sentence.replace(/\s/g, "").length);
  return ends;
}

/** Scores a splitter on cases. */
export function scoreSentences(
  cases: readonly LabelledCase[],
  split: (text: string, language: string) => readonly string[],
): SentenceScore {
  const wrong: { wanted: LabelledCase; found: readonly string[] }[] = [];
  let [hits, given, wished] = [0, 0, 0];
  for (const wanted of cases) {
    const found = split(wanted.text, wanted.language);
    const [right, made] = [boundaries(wanted.sentences), boundaries(found)];
    const common = [...made].filter((end) => right.has(end)).length;
    hits += common;
    given += made.size;
    wished += right.size;
    if (common !== made.size || common !== right.size) wrong.push({ wanted, found });
  }
  return {
    cases: cases.length,
    right: cases.length - wrong.length,
    precision: hits / Math.max(1, given),
    recall: hits / Math.max(1, wished),
    wrong,
  };
}
