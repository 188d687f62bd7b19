import assert from "node:assert/strict";
import { linesIn, rawDecoder } from "../../lib/records/inputs.ts";
import { lineEncoder } from "../../lib/records/line_encoder.ts";
import type { RecordsTokenizer } from "../../lib/records/mod.ts";
import { pieceTable } from "../../lib/tasks/mod.ts";
import { pythonRandom } from "../../lib/random.ts";
import { loadSentencePiece, loadWordPiece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { goldenAlbert } from "../golden_albert.ts";
import { goldenPipeline } from "../tasks/golden_tasks.ts";

const model = goldenAlbert<{ spm_model_base64: string }>("tokenization").spm_model_base64;
const sentencePiece = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")), {
  spm_version: "0.2.2",
});
const wordPiece = loadWordPiece(goldenPipeline().vocab_wordpiece.join("\n"));

/** What each line becomes: -1 where a document ends, else its numbers. */
function encoded(text: string | Uint8Array, tokenizer: RecordsTokenizer, lower = true): (number[] | -1)[] {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const { style = "sentencepiece" } = tokenizer;
  const encoder = lineEncoder(tokenizer, pieceTable(tokenizer, { style, keepUnknown: false }), { lower });
  const raw = rawDecoder("raw.txt");
  const decode = (from: number, to: number): string => raw(bytes.subarray(from, to), from);
  return [...linesIn({ bytes, decode })].map(([from, to]) => {
    const count = encoder.line(bytes, from, to, () => decode(from, to));
    return count < 0 ? -1 : [...encoder.numbers().subarray(0, count)];
  });
}

/** The same tokenizer when it tells nothing of words: every line goes through cleaning and encoding. */
function byLine(tokenizer: RecordsTokenizer): RecordsTokenizer {
  const { certainty: _, ...rest } = tokenizer;
  return rest;
}

/** Lines of words that are hard: marks, blanks of all kinds, digits with commas, unknown and long ones. */
function hardLines(seed: number): string {
  const words = [
    ..."the god and he said, unto Earth. 1,000 7, a1, ¨ \u0301 \u0301a o\u0301 ß Größe ﬁne \u00a0 a\u00a0b \u200b a\u200bb \ufeffa "
      .split(
        " ",
      ),
    ..."ΟΔΟΣ ΣΑΣ \u0345 語 語語語 \u{1f600} ( ) (1,2) -- ==== a\u001fb \0 [MASK] ▁ ▁a \r \u2028 \u3099 İ ５， ²,"
      .split(" "),
    "x".repeat(70),
    "",
  ];
  const { randint } = pythonRandom(seed);
  const line = (): string =>
    Array.from({ length: randint(0, 9) }, () => words[randint(0, words.length - 1)])
      .join([" ", " ", "  ", "\t", " \t"][randint(0, 4)]);
  return Array.from({ length: 400 }, line).join("\n");
}

Deno.test("lineEncoder() gives word by word what cleaning and encoding the whole line gives", () => {
  for (const tokenizer of [sentencePiece, wordPiece]) {
    for (const lower of [true, false]) {
      for (const seed of [1, 2, 3]) {
        const text = hardLines(seed);
        assert.deepEqual(encoded(text, tokenizer, lower), encoded(text, byLine(tokenizer), lower));
      }
    }
  }
});

Deno.test("lineEncoder() cuts a word anew when the score before it decides between two ways", () => {
  // Both ways to write "ab" have the sum -0.3 but for rounding: float32 sums choose by what stands before.
  const pieces = [
    { piece: "<unk>", score: 0, type: "unknown" as const },
    ...["[CLS]", "[SEP]", "[MASK]"].map((piece) => ({ piece, score: 0, type: "control" as const })),
    { piece: "▁", score: -5, type: "normal" as const },
    { piece: "▁a", score: Math.fround(-0.1), type: "normal" as const },
    { piece: "b", score: Math.fround(-0.2), type: "normal" as const },
    { piece: "▁ab", score: Math.fround(-0.3000001), type: "normal" as const },
  ];
  const tokenizer = loadSentencePiece(serializeModel({ pieces }));
  const text = `ab\n${"a ".repeat(300)}ab\n${"a ".repeat(3000)}ab ab ab\n`;
  const found = encoded(text, tokenizer);
  assert.deepEqual(found, encoded(text, byLine(tokenizer)));
  const first = found[0] === -1 ? [] : found[0] ?? [];
  const last = found.map((line) => line === -1 ? [] : line.slice(-first.length));
  assert.notDeepEqual(last[2], last[0]); // the case is met: the same word is cut in two ways
});

Deno.test("lineEncoder() leaves invalid UTF-8 to the decoder, which names the byte", () => {
  const bytes = new TextEncoder().encode("the god\nhe sai? the\n");
  bytes[bytes.indexOf(63)] = 0xff;
  assert.throws(() => encoded(bytes, sentencePiece), /raw\.txt: invalid UTF-8 at byte 14/);
});

Deno.test("lineEncoder() gives the same when it has forgotten its words", () => {
  const text = Array.from({ length: 3000 }, (_, i) => {
    const word = (k: number): string => `${(i * 31 + k * 7919).toString(36)}${"abcdefgh".repeat(6)}`;
    return `${word(0)} god ${word(1)} ${word(2)} ${word(3)} ${word(4)}`;
  }).join("\n");
  assert.deepEqual(
    encoded(`${text}\n${text}`, sentencePiece),
    encoded(`${text}\n${text}`, byLine(sentencePiece)),
  );
});
