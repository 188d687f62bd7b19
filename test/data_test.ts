import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { readEmbedded, writeEmbeddedRaw } from "../lib/text/mod.ts";

const dataDir = fileURLToPath(new URL("../data", import.meta.url));
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");
const json = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${dataDir}/${path}`, "utf8"));

for (const corpus of ["kjv", "sotu", "handbuch"] as const) {
  const card = json(`${corpus}/card.json`);

  Deno.test(`the card of data/${corpus} says what the files are`, () => {
    const packed = readFileSync(`${dataDir}/${corpus}/${corpus}.txt.gz`);
    const plain = gunzipSync(packed);
    assert.deepEqual(card["compressed"], {
      file: `${corpus}.txt.gz`,
      bytes: packed.length,
      sha256: sha256(packed),
    });
    assert.deepEqual(card["plain"], { bytes: plain.length, sha256: sha256(plain) });
    assert.ok(packed.length <= 1_500_000);
    assert.deepEqual([...packed.subarray(3, 8), packed[9]], [0, 0, 0, 0, 0, 255]); // no name, time, system
    const documents = readEmbedded(corpus, { dataDir });
    const heldOut = documents.filter(({ split }) => split === "held_out");
    assert.equal(card["documents"], documents.length);
    assert.equal(card["paragraphs"], documents.flatMap(({ paragraphs }) => paragraphs).length);
    assert.equal(card["documents_held_out"], heldOut.length);
    assert.equal(card["documents_train"], documents.length - heldOut.length);
    const every = Number(card["held_out_every"]);
    for (const [i, { split }] of documents.entries()) {
      assert.equal(split === "held_out", i % every === every - 1);
    }
    assert.equal(new Set(documents.map(({ name }) => name)).size, documents.length);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(plain);
    assert.ok(!/[^\P{Cc}\n]|\ufffd/u.test(text)); // no control character but the line end
    assert.ok(existsSync(`${dataDir}/${corpus}/README.md`));
  });

  Deno.test(`the card of data/${corpus} says what its raw files hold`, async () => {
    const folder = mkdtempSync(`${tmpdir()}/albert-`);
    const report = await writeEmbeddedRaw({
      corpus,
      dataDir,
      outputTrain: `${folder}/train.txt`,
      outputHeldOut: `${folder}/held_out.txt`,
    });
    rmSync(folder, { recursive: true });
    const raw = card["raw"] as Record<string, unknown>;
    for (const [name, part] of [["train", report.train], ["held_out", report.heldOut]] as const) {
      assert.ok(part);
      const { documents, sentences, words, bytes, longestBytes, sha256 } = part;
      assert.deepEqual(raw[name], {
        documents,
        sentences,
        words,
        bytes,
        longest_bytes: longestBytes,
        sha256,
      });
    }
  });
}

Deno.test("data/kjv is the verse list byte for byte when the blank lines are dropped", () => {
  const plain = gunzipSync(readFileSync(`${dataDir}/kjv/kjv.txt.gz`)).toString("utf8");
  const verses = plain.split("\n").filter((line) => line !== "");
  assert.equal(verses.length, 31_102);
  const expected = "b5c4940bcfeee072c0935b5200d0f9d88a00a0199cb0961d16133458fcdfae5d";
  assert.equal(sha256(verses.map((verse) => `${verse}\n`).join("")), expected);
  assert.equal(json("kjv/card.json")["verses_only"], expected);
});

Deno.test("data/kjv has the chapters of its table", () => {
  const table = json("kjv/verses_per_chapter.json") as Record<string, number[]>;
  const expected = Object.entries(table).flatMap(([book, counts]) =>
    counts.map((count, i) => [`${book} ${i + 1}`, count])
  );
  const found = readEmbedded("kjv", { dataDir }).map(({ name, paragraphs }) => [name, paragraphs.length]);
  assert.deepEqual(found, expected);
  assert.equal(expected.length, 1189);
  assert.deepEqual(found.find(([name]) => name === "Psalms 119"), ["Psalms 119", 176]);
});
