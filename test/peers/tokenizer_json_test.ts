// Ids of texts in many scripts by Hugging Face's tokenizers, where they are installed (ALBERT_HF_PYTHON): the cleaning of text
// that tokenizer.json describes is that of the records.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { albertPreset } from "../../lib/config/mod.ts";
import { exportModel } from "../../lib/export/mod.ts";
import { albertPieces } from "../../lib/tasks/mod.ts";
import { preprocessText } from "../../lib/text/mod.ts";
import { loadSentencePiece, type Piece, serializeModel } from "../../lib/tokenizer/mod.ts";
import { initialParameters } from "../../lib/train/mod.ts";
import { pythonWith, runPython } from "./python.ts";

const python = pythonWith("tokenizers");

const texts = [
  ..."हिन्दी में कुछ शब्द|שָׁלוֹם עוֹלָם|العَرَبِيَّة|ภาษาไทย ที่|தமிழ் மொழி|日本語ガギグ ｶﾞ|Việt Nam".split("|"),
  ..."Größe Ångström naïve ﬁ ①|ελληνικά ΣΟΦΟΣ|ΑΣ Ας İstanbul ŉ|1,2 (3,4) ''a''|  two  blanks \t and\na tab "
    .split("|"),
];

/** A tokenizer that knows every character of the texts. */
function tokenizerOf(lower: boolean): Uint8Array {
  const characters = new Set(
    texts.flatMap((text) => [...preprocessText(text, { lower })]).filter((c) => c.trim() !== ""),
  );
  const special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"].map((piece): Piece => ({
    piece,
    score: 0,
    type: piece === "<unk>" ? "unknown" : "control",
  }));
  const normal = ["▁", ...characters].map((piece, i): Piece => ({
    piece,
    score: -5 - i / 64,
    type: "normal",
  }));
  const pieces = [...special, ...normal];
  const flags = { add_dummy_prefix: true, remove_extra_whitespaces: true, escape_whitespaces: true };
  return serializeModel({
    pieces,
    trainer_spec: { model_type: 1, vocab_size: pieces.length, unk_id: 1, bos_id: -1, eos_id: -1, pad_id: 0 },
    normalizer_spec: { name: "identity", ...flags },
  });
}

for (const lower of [true, false]) {
  Deno.test({
    name: `tokenizer.json gives the ids of the records in every script, ${lower ? "lower-cased" : "cased"}`,
    ignore: python === undefined,
    fn: () => {
      const folder = mkdtempSync(join(tmpdir(), "albert-ids-"));
      try {
        const bytes = tokenizerOf(lower);
        const tokenizer = loadSentencePiece(bytes);
        const config = albertPreset("tiny", { vocab_size: tokenizer.size });
        const model = { config, parameters: initialParameters(config, 1), tokenizer: bytes, step: 1 };
        exportModel(join(folder, "hf"), model, { doLowerCase: lower });
        writeFileSync(join(folder, "texts.json"), JSON.stringify(texts));
        const args = [join(folder, "hf", "tokenizer.json"), join(folder, "texts.json")];
        const theirs = JSON.parse(runPython(python ?? "", "tokenizer_json.py", args)) as number[][];
        const encode = (part: string): readonly string[] => tokenizer.encode(part);
        for (const [i, text] of texts.entries()) {
          const ids = albertPieces(encode, preprocessText(text, { lower })).map(tokenizer.idOf);
          assert.deepEqual(theirs[i], [2, ...ids, 3], text);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  });
}
