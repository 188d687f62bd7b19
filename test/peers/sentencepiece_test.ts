// Random texts through models of four types that SentencePiece's Python package makes: ids, pieces, decoded text, n best.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { loadSentencePiece, pythonRandom, readEmbedded } from "albert-guide";
import { oddText } from "../bench/tokenizer_fuzz_bench.ts";
import { pythonWith } from "./python.ts";

type Answer = {
  readonly version: string;
  readonly models: readonly {
    readonly name: string;
    readonly model: string;
    readonly ids: readonly number[][];
    readonly pieces: readonly string[][];
    readonly decoded: readonly string[];
    readonly best?: readonly string[][][];
  }[];
};

const python = pythonWith("sentencepiece");

Deno.test({
  name: "encode(), decode() and nBest() equal the Python package's on random texts, for models of every type",
  ignore: python === undefined,
  fn: () => {
    const { random } = pythonRandom(17);
    const below = (limit: number): number => Math.floor(random() * limit);
    const lines = readEmbedded("handbuch").flatMap(({ paragraphs }) => paragraphs).slice(0, 400);
    const odd = Array.from(
      { length: 150 },
      () => oddText(below) + (lines[below(400)] ?? "").slice(0, 60) + oddText(below),
    );
    const texts = ["", " ", "▁", "\n", ...odd].map((text) => text.toWellFormed());
    const script = fileURLToPath(new URL("./spm_answers.py", import.meta.url));
    const { stdout, stderr, status } = spawnSync(python as string, [script], {
      input: JSON.stringify({ lines: [...lines, ...Array(20).fill("日本語の例 です")], texts }),
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    assert.equal(status, 0, stderr);
    const { version, models } = JSON.parse(stdout) as Answer;
    const spm_version = /^0\.2\.[2-9]/.test(version) ? "0.2.2" : "0.2.0";
    assert.equal(models.length, 20);
    for (const { name, model, ids, pieces, decoded, best } of models) {
      const tokenizer = loadSentencePiece(new Uint8Array(Buffer.from(model, "base64")), { spm_version });
      texts.forEach((text, i) => {
        assert.deepEqual(tokenizer.encode(text), pieces[i], `${name}: ${JSON.stringify(text)}`);
        assert.deepEqual([...tokenizer.encodeIds(text)], ids[i], `${name}: ${JSON.stringify(text)}`);
        assert.equal(tokenizer.decode(ids[i] as number[]), decoded[i], `${name}: ${JSON.stringify(text)}`);
      });
      texts.filter((text) => text !== "").forEach((text, i) => {
        if (best === undefined) return;
        const found = tokenizer.nBest(Array.from(text).slice(0, 40).join(""), 8).map((each) => each.pieces);
        assert.deepEqual(found, best[i], `${name}: ${JSON.stringify(text)}`);
      });
    }
  },
});
