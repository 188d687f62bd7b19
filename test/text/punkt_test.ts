import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { CorruptFileError } from "../../lib/formats/mod.ts";
import { readEmbedded, readPunkt, trainPunkt, writePunkt } from "../../lib/text/mod.ts";

const dataDir = fileURLToPath(new URL("../../data", import.meta.url));
const trained = trainPunkt(readEmbedded("sotu", { dataDir }).flatMap(({ paragraphs }) => paragraphs));

Deno.test("trainPunkt() finds the abbreviations of the speeches when trained on them", () => {
  for (const known of ["mr", "mrs", "dr", "u.s", "d.c", "u.s.s.r", "jr"]) {
    assert.ok(trained.abbreviations.has(known), known);
  }
  for (const word of ["congress", "people", "year", "nation"]) {
    assert.ok(!trained.abbreviations.has(word), word);
  }
});

Deno.test("trainPunkt() finds what NLTK 3.9.1 finds in the same text", () => {
  // Counts of NLTK's PunktTrainer with default settings on the plain text of data/sotu: 50, 62 and 1. The 50th
  // abbreviation is ". . ", a spaced ellipsis.
  assert.equal(trained.abbreviations.size, 49);
  assert.equal(trained.sentenceStarters.size, 62);
  assert.deepEqual([...trained.collocations], ["d\teisenhower"]);
  // NLTK's masks of some words.
  const masks = { the: 46, congress: 14, we: 126 };
  for (const [type, mask] of Object.entries(masks)) assert.equal(trained.orthography.get(type), mask, type);
});

Deno.test("trainPunkt() gives empty tables when there is no text", () => {
  const { abbreviations, sentenceStarters, collocations, orthography } = trainPunkt([]);
  assert.deepEqual([abbreviations.size, sentenceStarters.size, collocations.size, orthography.size], [
    0,
    0,
    0,
    0,
  ]);
});

Deno.test("readPunkt() gives back what writePunkt() wrote", () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writePunkt(folder, trained);
  assert.deepEqual(readPunkt(folder), trained);
  const first = readFileSync(`${folder}/ortho_context.tab`, "utf8").split("\n")[0] ?? "";
  assert.match(first, /^\S+\t\d+$/);
  rmSync(folder, { recursive: true });
});

Deno.test("readPunkt() names file and line when a table is broken or missing", () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writePunkt(folder, trained);
  writeFileSync(`${folder}/ortho_context.tab`, "the\t46\nbroken\n");
  assert.throws(() => readPunkt(folder), (error: Error) => {
    return error instanceof CorruptFileError && /line 2 of .*ortho_context\.tab/.test(error.message);
  });
  rmSync(`${folder}/abbrev_types.txt`);
  assert.throws(() => readPunkt(folder), /abbrev_types\.txt: there is no such file/);
  rmSync(folder, { recursive: true });
});

Deno.test("trainPunkt() learns nearly the same when it may hold few words", () => {
  const paragraphs = readEmbedded("sotu", { dataDir }).flatMap((document) => document.paragraphs);
  const few = trainPunkt(paragraphs, { maxTypes: 12_000 });
  assert.ok(few.orthography.size <= 12_000 && trained.orthography.size > 16_000);
  for (const known of ["mr", "dr", "u.s"]) {
    assert.ok(few.abbreviations.has(known), known);
  }
  const common = [...trained.sentenceStarters].filter((type) => few.sentenceStarters.has(type));
  assert.ok(common.length >= 0.9 * trained.sentenceStarters.size, String(common.length));
  // Cases seen before a word or pair was let go are kept with the words that stay.
  for (const type of ["the", "congress", "we"]) {
    assert.equal(few.orthography.get(type), trained.orthography.get(type), type);
  }
});
