import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { rawStatistics } from "../../lib/text/mod.ts";

Deno.test("rawStatistics() counts documents, words and characters over several files", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/a`, "Don’t go, 𝒜!\nGo-kart GO.\n\nEnd\n");
  writeFileSync(`${folder}/b`, `${"w ".repeat(150)}end\n`);
  const found = await rawStatistics([`${folder}/a`, `${folder}/b`]);
  assert.deepEqual([found.documents, found.sentences, found.words], [3, 4, 157]);
  assert.deepEqual(found.wordCounts, [["w", 150], ["end", 2], ["go", 2], ["don’t", 1], ["go-kart", 1], [
    "𝒜",
    1,
  ]]);
  assert.equal(found.characters, 12 + 11 + 3 + 303);
  assert.deepEqual(found.characterCounts.find(([character]) => character === "𝒜"), ["𝒜", 1]);
  assert.equal(found.characterCounts[0]?.[0], " ");
  assert.deepEqual([1, 2, 3, 100].map((length) => found.sentenceWords[length]), [1, 1, 1, 1]);
});

Deno.test("rawStatistics() forgets the rarest words when there are too many", async () => {
  const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/raw`;
  writeFileSync(path, Array.from({ length: 500 }, (_, i) => `the word${i}\n`).join("\n"));
  const { wordCounts, words } = await rawStatistics(path, { maxWords: 100 });
  assert.deepEqual(wordCounts[0], ["the", 500]);
  assert.ok(wordCounts.length <= 100 && words === 1000);
});
