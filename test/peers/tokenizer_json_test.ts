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

/** How a text becomes pieces. */
type Kind = {
  readonly lower?: boolean;
  readonly keepAccents?: boolean;
  /** Every third character is unknown and spelt by its bytes. */
  readonly byteFallback?: boolean;
  /** The special pieces in another order, behind a normal one. */
  readonly otherIds?: boolean;
};

/** A tokenizer that knows the characters of the texts. */
function tokenizerOf({ byteFallback = false, otherIds = false, ...preparation }: Kind): Uint8Array {
  const seen = new Set(
    texts.flatMap((text) => [...preprocessText(text, preparation)]).filter((c) => c.trim() !== ""),
  );
  const characters = [...seen].filter((_, i) => !byteFallback || i % 3 > 0);
  const names = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];
  const special = (otherIds ? names.toReversed() : names).map((piece): Piece => ({
    piece,
    score: 0,
    type: piece === "<unk>" ? "unknown" : "control",
  }));
  const normal = ["▁", ...characters].map((piece, i): Piece => ({
    piece,
    score: -5 - i / 64,
    type: "normal",
  }));
  const bytes = Array.from({ length: byteFallback ? 256 : 0 }, (_, byte): Piece => ({
    piece: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    score: 0,
    type: "byte",
  }));
  const pieces = otherIds
    ? [...normal.slice(0, 1), ...special, ...normal.slice(1)]
    : [...special, ...bytes, ...normal];
  const flags = { add_dummy_prefix: true, remove_extra_whitespaces: true, escape_whitespaces: true };
  return serializeModel({
    pieces,
    trainer_spec: {
      model_type: 1,
      vocab_size: pieces.length,
      ...(byteFallback ? { byte_fallback: true } : {}),
      unk_id: pieces.findIndex(({ piece }) => piece === "<unk>"),
      bos_id: -1,
      eos_id: -1,
      pad_id: pieces.findIndex(({ piece }) => piece === "<pad>"),
    },
    normalizer_spec: { name: "identity", ...flags },
  });
}

const kinds: { readonly [name: string]: Kind } = {
  "lower-cased": {},
  "cased": { lower: false },
  "cased with accents": { lower: false, keepAccents: true },
  "with bytes for what is unknown": { byteFallback: true },
  "with other ids of the special pieces": { otherIds: true },
};

for (const [name, kind] of Object.entries(kinds)) {
  Deno.test({
    name: `tokenizer.json gives the ids of the records in every script, ${name}`,
    ignore: python === undefined,
    fn: () => {
      const folder = mkdtempSync(join(tmpdir(), "albert-ids-"));
      try {
        const bytes = tokenizerOf(kind);
        const tokenizer = loadSentencePiece(bytes);
        const config = albertPreset("tiny", { vocab_size: tokenizer.size });
        const model = { config, parameters: initialParameters(config, 1), tokenizer: bytes, step: 1 };
        exportModel(join(folder, "hf"), model, {
          doLowerCase: kind.lower ?? true,
          keepAccents: kind.keepAccents ?? false,
        });
        writeFileSync(join(folder, "texts.json"), JSON.stringify(texts));
        const args = [join(folder, "hf", "tokenizer.json"), join(folder, "texts.json")];
        const theirs = JSON.parse(runPython(python ?? "", "tokenizer_json.py", args)) as number[][];
        const encode = (part: string): readonly string[] => tokenizer.encode(part);
        for (const [i, text] of texts.entries()) {
          const ids = ["[CLS]", ...albertPieces(encode, preprocessText(text, kind)), "[SEP]"].map(
            tokenizer.idOf,
          );
          assert.deepEqual(theirs[i], ids, text);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  });
}
