import assert from "node:assert/strict";
import { CLEANING_STEPS, openCleaner } from "../../lib/text/cleaning.ts";

Deno.test("openCleaner() cleans and counts what each step names", () => {
  const cleaner = openCleaner(CLEANING_STEPS);
  assert.equal(cleaner.paragraph(" Schiff\u00adfahrt\u0007 und\u00a0 \tMeer\ufeff "), "Schifffahrt und Meer");
  // The bell became a space beside a space, so it is also part of a run.
  assert.deepEqual(cleaner.counts, { control: 1, invisible: 2, blank: 2, duplicates: 0 });
  assert.equal(cleaner.paragraph("nothing to do"), "nothing to do");
  assert.deepEqual(cleaner.counts, { control: 1, invisible: 2, blank: 2, duplicates: 0 });
});

Deno.test("openCleaner() does only the steps that are asked for, and keeps one line in any case", () => {
  const dirty = "a\u0000\u0001b\u00ad  c\u200b\u00a0d\n\u2028e";
  assert.equal(openCleaner([]).paragraph(dirty), "a\u0000\u0001b\u00ad  c\u200b\u00a0d e");
  assert.equal(openCleaner(["control"]).paragraph(dirty), "a  b\u00ad  c\u200b\u00a0d e");
  assert.equal(openCleaner(["invisible"]).paragraph(dirty), "a\u0000\u0001b  c\u200b\u00a0d e");
  assert.equal(openCleaner(["blank"]).paragraph(dirty), "a\u0000\u0001b\u00ad c d e");
});

Deno.test("openCleaner() leaves no character that a check of the whole plane calls dirty", () => {
  const cleaner = openCleaner(CLEANING_STEPS);
  for (let code = 0; code < 0x10000; code++) {
    const char = String.fromCharCode(code);
    const cleaned = cleaner.paragraph(`a${char}b`);
    const dirty = /[\s\p{Cc}\u200b]/u.test(char);
    const removed = /[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/.test(char);
    assert.equal(cleaned, removed ? "ab" : dirty ? "a b" : `a${char}b`, code.toString(16));
  }
});

Deno.test("openCleaner() knows a document again by its text, among very many", () => {
  const cleaner = openCleaner(["duplicates"]);
  for (let i = 0; i < 30_000; i++) assert.equal(cleaner.seen([`text ${i}`]), false);
  for (let i = 0; i < 30_000; i += 7) assert.equal(cleaner.seen([`text ${i}`]), true);
  assert.equal(cleaner.seen(["text", "1"]), false);
  assert.equal(cleaner.counts.duplicates, Math.ceil(30_000 / 7));
  const lenient = openCleaner(["control"]);
  assert.equal(lenient.seen(["x"]) || lenient.seen(["x"]), false);
});

Deno.test("openCleaner() refuses a step that does not exist", () => {
  assert.throws(() => openCleaner(["html" as "blank"]), {
    name: "RangeError",
    message: /"html"; choose of control, invisible, blank, duplicates/,
  });
});
