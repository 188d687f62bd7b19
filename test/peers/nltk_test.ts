// Punkt against NLTK: the same tables from the same text, and tables that travel in both directions.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { readEmbedded, readPunkt, trainPunkt, writePunkt } from "../../lib/text/mod.ts";
import { askNltk } from "./nltk.ts";
import { pythonWith } from "./python.ts";

const python = pythonWith("nltk") ?? "";
const dataDir = fileURLToPath(new URL("../../data", import.meta.url));

Deno.test("trainPunkt() learns NLTK's tables, and NLTK splits by ours", { ignore: python === "" }, () => {
  const texts = readEmbedded("sotu", { dataDir }).slice(0, 30).flatMap(({ paragraphs }) => paragraphs);
  const [theirs, ours] = [mkdtempSync(`${tmpdir()}/albert-`), mkdtempSync(`${tmpdir()}/albert-`)];
  askNltk(python, { tables: theirs, texts, train: true });
  writePunkt(ours, trainPunkt(texts));
  const [a, b] = [readPunkt(ours), readPunkt(theirs)];
  // NLTK takes a spaced ellipsis for an abbreviation.
  const sorted = (types: Iterable<string>): string[] => [...types].filter((type) => /\w/.test(type)).sort();
  assert.deepEqual(sorted(a.abbreviations), sorted(b.abbreviations));
  assert.deepEqual(sorted(a.sentenceStarters), sorted(b.sentenceStarters));
  assert.deepEqual(sorted(a.collocations), sorted(b.collocations));
  const differing = [...b.orthography].filter(([type, mask]) => a.orthography.get(type) !== mask);
  assert.ok(differing.length < b.orthography.size / 100, differing.slice(0, 20).join(" "));
  const some = texts.slice(0, 5);
  const split = (tables: string): string[][] => askNltk(python, { tables, texts: some }).sentences;
  assert.deepEqual(split(ours), split(theirs));
});
