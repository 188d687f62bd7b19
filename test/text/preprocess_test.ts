import assert from "node:assert/strict";
import { preprocessText, pythonStrip } from "../../lib/text/preprocess.ts";
import { goldenAlbert } from "../golden_albert.ts";

type Tables = { python_isspace: [number, number][]; nonzero_combining_class: [number, number][] };
type Tokenization = { cases: { text: string; lower: boolean; preprocessed: string }[] };

const within = (ranges: readonly [number, number][]): Set<number> => {
  const set = new Set<number>();
  for (const [first, last] of ranges) for (let c = first; c <= last; c++) set.add(c);
  return set;
};

Deno.test("preprocessText() agrees with the reference on every golden text", () => {
  const { cases } = goldenAlbert<Tokenization>("tokenization");
  assert(cases.length >= 40);
  for (const { text, lower, preprocessed } of cases) {
    assert.equal(preprocessText(text, { lower }), preprocessed, JSON.stringify(text));
  }
});

Deno.test("preprocessText() removes exactly the characters with a combining class", () => {
  const combining = within(goldenAlbert<Tables>("unicode-tables").nonzero_combining_class);
  assert.equal(combining.size, 912);
  for (let code = 0x80; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const decomposed = [...String.fromCodePoint(code).normalize("NFKD")];
    const expected = decomposed.filter((c) => !combining.has(c.codePointAt(0) ?? 0)).join("");
    const cleaned = preprocessText(`a${String.fromCodePoint(code)}b`, { lower: false });
    if (cleaned === "a b") continue; // a space: tested below
    assert.equal(cleaned, `a${expected}b`, code.toString(16));
  }
});

Deno.test("preprocessText() and pythonStrip() take exactly Python's white space for space", () => {
  const spaces = within(goldenAlbert<Tables>("unicode-tables").python_isspace);
  for (let code = 0; code < 0x10000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const char = String.fromCharCode(code);
    const isSpace = spaces.has(code);
    assert.equal(pythonStrip(`${char}a${char}${char}`) === "a", isSpace, code.toString(16));
    if (isSpace) assert.equal(preprocessText(`${char}a${char}${char}b${char}`), "a b", code.toString(16));
  }
  assert.equal(preprocessText("a\ufeffb"), "a\ufeffb");
  assert.equal(preprocessText("a\u00a8b"), "a b"); // NFKD makes a space and a mark
});

Deno.test("preprocessText() lower-cases in context", () => {
  assert.equal(preprocessText("ΟΔΟΣ"), "οδος");
  assert.equal(preprocessText(""), "");
  assert.equal(preprocessText("\u0301\u0302"), "");
});
