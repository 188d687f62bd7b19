import assert from "node:assert/strict";
import { sentenceSplitter } from "../../lib/text/mod.ts";

/** Each case: the text, cut where a "|" stands. */
const ENGLISH = [
  "Mr. J. P. Morgan met Dr. Smith at 5 p.m.|It was late.",
  'He said: "Why?" he asked.|She left.',
  "See Fig. 3 and No. 5.|I said no.|Then he left.",
  "In the U.S. the law differs.|He lives in the U.S.|The law is clear.",
  "He paused... and went on.|He paused...|Then he went.",
  '"Is it true?"|"It is."|They left.',
  "1. We must act.|2. We must pay.|A. Provide help.",
  "The year was 1990.|The cold war ended.",
  "Version 3.5 is out at example.com.|Try it!",
  "It was Plan B.|It failed.",
  "Was it so?!|Yes.",
  "Smith et al. found it.|The Rev. Martin Luther King Jr. was there.",
  "After World War I.|The end.",
  "IV. Our schools need help.|They said so (in a report.)|It is true.",
  "H. G. Wells wrote it.|Read it.[2]|Then sleep.",
  "A line . . . with dots.|Done .",
];
const GERMAN = [
  "Am 3. Oktober 1990 war es so weit.|Der 2. Weltkrieg endete 1945.|Danach kam Frieden.",
  "Das gilt z. B. Hunden, d. h. Tieren.|Siehe S. 5 und Nr. 7.|Und Schluss.",
  "Prof. Dr. Müller kam um 5 Uhr.|Er ging.",
  "Im 19. Jh.|Und im 20. Jahrhundert usw.|Der Hund bellt.",
  "„Kommst du?“ fragte er.|„Ja.“|Sie ging.",
  "Kaiser Wilhelm II. regierte.|Es waren 12.|Der Rest ging.",
  "Er kam am 5. Tag.|Die Bahnhofstr. 5 ist dort.",
  "Die Fa. Meier e. V. hat ca. 5 Mio. Euro.|Das ist viel.",
];

for (const [language, cases] of [["en", ENGLISH], ["de", GERMAN]] as const) {
  for (const text of cases) {
    Deno.test(`sentenceSplitter() cuts ${language} with punkt: ${text}`, () => {
      const split = sentenceSplitter("punkt", { language });
      assert.deepEqual(split(text.replaceAll("|", " ")), text.split("|"));
    });
  }
}

Deno.test("sentenceSplitter() uses the trained tables when a model is given", () => {
  const text = "The dept. Store is open. Go.";
  const model = {
    abbreviations: new Set(["dept"]),
    sentenceStarters: new Set<string>(),
    collocations: new Set<string>(),
    orthography: new Map<string, number>(),
  };
  assert.equal(sentenceSplitter("punkt", { language: "xx" })(text).length, 3);
  assert.equal(sentenceSplitter("punkt", { language: "xx", model })(text).length, 2);
  const store = { ...model, orthography: new Map([["store", 32]]) };
  assert.equal(sentenceSplitter("punkt", { language: "xx", model: store })(text).length, 3);
  const pair = { ...model, abbreviations: new Set<string>(), collocations: new Set(["dept\tstore"]) };
  assert.equal(sentenceSplitter("punkt", { language: "xx", model: pair })(text).length, 2);
});

Deno.test("sentenceSplitter() keeps lower-case beginnings apart when lowerCaseMerge is off", () => {
  const text = "Stop! he said.";
  assert.deepEqual(sentenceSplitter("punkt")(text), [text]);
  assert.deepEqual(sentenceSplitter("punkt", { lowerCaseMerge: false })(text), ["Stop!", "he said."]);
});

Deno.test("sentenceSplitter() cuts clauses after . ! ? ; : and a space only", () => {
  const split = sentenceSplitter("clause");
  assert.deepEqual(split("And God said, Let there be light: and there was light; at 3:16. Amen!"), [
    "And God said, Let there be light:",
    "and there was light;",
    "at 3:16.",
    "Amen!",
  ]);
});

Deno.test("sentenceSplitter() cuts with Intl.Segmenter when the name is intl", () => {
  assert.deepEqual(sentenceSplitter("intl", { language: "en" })("One ends. Two ends! Three?"), [
    "One ends.",
    "Two ends!",
    "Three?",
  ]);
});

Deno.test("sentenceSplitter() splits Chinese and Japanese with punkt", () => {
  assert.deepEqual(sentenceSplitter("punkt", { language: "zh" })("你好。“再见！”他说。"), [
    "你好。",
    "“再见！”",
    "他说。",
  ]);
});

Deno.test("sentenceSplitter() knows which way guillemets open in a language", () => {
  const french = "« Pourquoi ? » Il partit. « Non. » Elle resta.";
  assert.deepEqual(sentenceSplitter("punkt", { language: "fr" })(french), [
    "« Pourquoi ? »",
    "Il partit.",
    "« Non. »",
    "Elle resta.",
  ]);
  const german = "Er ging. »Warum?« fragte sie. »Darum.« Er lief.";
  assert.deepEqual(sentenceSplitter("punkt", { language: "de" })(german), [
    "Er ging.",
    "»Warum?« fragte sie.",
    "»Darum.«",
    "Er lief.",
  ]);
});

Deno.test("sentenceSplitter() leaves one line without control characters when text has them", () => {
  assert.deepEqual(sentenceSplitter("line")(" a\u0000b\t\u0085 c \r\nd\u00a0e\r\n \n"), ["a b c", "d e"]);
});

Deno.test("sentenceSplitter() keeps every sentence within maxSentenceBytes", () => {
  const text = `${"äöü ".repeat(50)}${"x€".repeat(40)} end`;
  const parts = sentenceSplitter("line", { maxSentenceBytes: 32 })(text);
  const bytes = parts.map((part) => new TextEncoder().encode(part).length);
  assert.ok(Math.max(...bytes) <= 32 && Math.max(...bytes) > 24, String(bytes));
  assert.equal(parts.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  assert.ok(parts.every((part) => part === part.trim() && !part.includes("\ufffd")));
});

Deno.test("sentenceSplitter() refuses an unknown name and a tiny limit", () => {
  assert.throws(() => sentenceSplitter("nltk" as "punkt"), {
    name: "RangeError",
    message: /"nltk"; choose punkt/,
  });
  assert.throws(() => sentenceSplitter("line", { maxSentenceBytes: 3 }), RangeError);
});

Deno.test("sentenceSplitter() takes linear time on hostile text", () => {
  const split = sentenceSplitter("punkt");
  for (const part of ["a.", ". ", "A. ", '."', "((((", "1. ", "x ", "a", ". . ", "?!"]) {
    const started = performance.now();
    split(part.repeat(200_000 / part.length));
    assert.ok(performance.now() - started < 5_000, `${JSON.stringify(part)} is slow`);
  }
});
