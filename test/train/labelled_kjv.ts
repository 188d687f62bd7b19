/**
 * Labelled sets made of the embedded Bible: names by their capitals, the testament a verse is of, whether a verse follows
 * another one. Training examples are of the chapters that pretraining reads, held-out ones of those it never sees.
 */
import type { FinetuneTask } from "../../lib/config/mod.ts";
import { pythonRandom } from "../../lib/random.ts";
import { readEmbedded } from "../../lib/text/mod.ts";
import { type LabelledText, tagNames } from "../../lib/train/mod.ts";

/** What is told apart. */
export type KjvSet = "names" | "testament" | "next";

/** The task that each set is for. */
export const kjvSets: Readonly<Record<KjvSet, FinetuneTask>> = {
  names: "tokens",
  testament: "classify",
  next: "pair",
};

const oldBooks = 39;

function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const random = pythonRandom(seed);
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random.random() * (i + 1));
    [all[i], all[j]] = [all[j] as Item, all[i] as Item];
  }
  return all;
}

/** Training examples drawn with a seed, and always the same held-out ones. */
export function kjvLabelled(
  set: KjvSet,
  { count, heldOut, seed }: { readonly count: number; readonly heldOut: number; readonly seed: number },
): { readonly train: LabelledText[]; readonly heldOut: LabelledText[] } {
  const documents = readEmbedded("kjv", { dataDir: new URL("../../data", import.meta.url).pathname });
  const bookOf = (name: string): string => name.replace(/ \d+$/, "");
  const books = [...new Set(documents.map(({ name }) => bookOf(name)))];
  const random = pythonRandom(1);
  const verses = documents.flatMap(({ name, split, paragraphs }) =>
    paragraphs.map((text, i) => ({
      text,
      split,
      after: paragraphs[i + 1],
      book: books.indexOf(bookOf(name)),
    }))
  );
  const tagged = set === "names" ? tagNames(verses.map(({ text }) => text)) : [];
  const examples = verses.map(({ text, after, book }, i): LabelledText | undefined => {
    if (set === "names") return tagged[i];
    if (set === "testament") return { text, label: book < oldBooks ? "old" : "new" };
    if (after === undefined) return undefined;
    const other = verses[Math.floor(random.random() * verses.length)]?.text ?? "";
    return random.random() < 0.5
      ? { text, textB: after, label: "next" }
      : { text, textB: other, label: "other" };
  });
  const side = (wanted: string): LabelledText[] =>
    examples.flatMap((example, i) => example !== undefined && verses[i]?.split === wanted ? [example] : []);
  return {
    train: shuffled(side("train"), seed).slice(0, count),
    heldOut: shuffled(side("held_out"), 7).slice(0, heldOut),
  };
}
