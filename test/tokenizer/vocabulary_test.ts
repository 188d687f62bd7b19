import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { CorruptFileError, parseVocabulary, readVocabulary, trainUnigram } from "albert-guide";
import { openTokenizer } from "../../lib/commands/records.ts";
import { inspect } from "../../lib/commands/inspect.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const trained = () =>
  trainUnigram(Array.from({ length: 40 }, (_, i) => `the sea and the land ${"abcdef"[i % 6]}`), {
    vocab_size: 16,
    normalization_rule_name: "identity",
  });

Deno.test("parseVocabulary() reads the same pieces and scores from .vocab and .model", async () => {
  const { model, vocab } = await trained();
  const [a, b] = [
    parseVocabulary(model, { path: "t.model" }),
    parseVocabulary(bytes(vocab), { path: "t.vocab" }),
  ];
  assert.equal(a.size, 16);
  assert.deepEqual(b.pieces, a.pieces);
  b.scores?.forEach((score, id) => assert.ok(Math.abs(score - (a.scores?.[id] as number)) < 1e-4));
  for (const each of [a, b]) assert.deepEqual([each.idOf(each.pieceOf(9)), each.idOf("none such")], [9, 0]);
  assert.throws(() => b.pieceOf(16), /ids 0 to 15/);
  assert.equal(parseVocabulary(model).kind, ".model");
  assert.equal(parseVocabulary(bytes(vocab)).kind, ".vocab");
});

Deno.test("parseVocabulary() takes a vocab.txt and a .vocab without scores", () => {
  const words = parseVocabulary(bytes("[PAD]\n[UNK]\nthe x\nthe\n\n##s\n"), { path: "vocab.txt" });
  assert.deepEqual([words.kind, words.pieces], ["vocab.txt", ["[PAD]", "[UNK]", "the", " ", "##s"]]);
  assert.deepEqual([words.idOf("none"), words.scores], [1, undefined]);
  const bare = parseVocabulary(bytes("<unk>\n▁a b\n"), { path: "a.vocab" });
  assert.deepEqual([bare.pieces, bare.scores], [["<unk>", "▁a b"], undefined]);
  assert.deepEqual(parseVocabulary(bytes("<unk>\t0\r\n\t\t-1e-05\r\n"), { path: "a.vocab" }).pieces, [
    "<unk>",
    "\t",
  ]);
  assert.equal(parseVocabulary(bytes("<unk>\t0\n"), { path: "list.txt" }).kind, ".vocab");
});

Deno.test("parseVocabulary() names file, line and byte of what is wrong", () => {
  const cases: [string | Uint8Array, string, RegExp, number][] = [
    ["", "a.vocab", /a\.vocab: it is empty/, 1],
    ["", "vocab.txt", /vocab\.txt: it is empty/, 1],
    ["<unk>\t0\na\n", "a.vocab", /line 2 \("a"\) has no score behind a tab, others have/, 2],
    ["<unk>\t0\na\tx\n", "a.vocab", /line 2 \("a\\tx"\) has no score/, 2],
    ["<unk>\t0\n\t-1\n", "a.vocab", /line 2 \("\\t-1"\) has no piece/, 2],
    ["<unk>\t0\na\t-1\na\t-2\n", "a.vocab", /line 3 \("a\\t-2"\) repeats the piece of line 2/, 3],
    [Uint8Array.of(0x61, 0x0a, 0x62, 0xff, 0x0a), "vocab.txt", /line 2 is not UTF-8 at byte 3/, 2],
  ];
  for (const [content, path, message, line] of cases) {
    const given = typeof content === "string" ? bytes(content) : content;
    assert.throws(() => parseVocabulary(given, { path }), (error: Error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.match(error.message, message);
      assert.equal(error.place.record, line);
      return true;
    });
  }
  assert.throws(() => parseVocabulary(bytes("a\t0\n"), { path: "a.model" }), /not a SentencePiece model/);
  assert.throws(
    () => readVocabulary("/none/a.vocab"),
    /Cannot read the vocabulary \/none\/a\.vocab: there is no such/,
  );
});

Deno.test("records refuse a .vocab as a WordPiece vocabulary, inspect shows it", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const { vocab } = await trained();
  for (const name of ["t.vocab", "vocab.txt"]) {
    writeFileSync(`${folder}/${name}`, vocab);
    assert.throws(
      () => openTokenizer({ vocab_file: `${folder}/${name}`, do_lower_case: true }),
      /is a SentencePiece \.vocab file, not a WordPiece vocab\.txt; give the model by --spm_model_file/,
    );
  }
  const lines: string[] = [];
  const context = { print: (line: string) => void lines.push(line) } as unknown as Parameters<
    typeof inspect.run
  >[2];
  await inspect.run({ limit: 2 }, [`${folder}/t.vocab`], context);
  assert.match(
    lines.join("\n"),
    /t\.vocab: SentencePiece vocabulary, 16 pieces with scores\n {2}0\t<unk>\t0\n/,
  );
});
