// A short slice of `deno task bench fuzz`, and what it found.
import assert from "node:assert/strict";
import { CorruptFileError, loadSentencePiece, protobufWriter, serializeModel } from "albert-guide";
import { fuzzKinds } from "../bench/tokenizer_fuzz_bench.ts";
import { makeNormalizer } from "../../lib/tokenizer/normalizer.ts";

Deno.test("models, vocabularies and tables are refused as damaged, or work, when bytes are changed", async () => {
  for (const { name, run } of await fuzzKinds(3)) {
    const { accepted, refused } = run(1500);
    assert.ok(accepted > 0 && refused > 0, `${name}: ${accepted} accepted, ${refused} refused`);
  }
});

Deno.test("makeNormalizer() ends when a rule points behind its table or into a character", () => {
  // Root and one leaf: "a" (0x61) has its value at label 0.
  const units = new Uint32Array(256);
  const table = (value: number): Uint32Array => {
    const out = units.slice();
    out[0] = 1 << 10;
    out[0x60] = 0x61 | 0x100 | (0x61 << 10); // its leaf is 0x60 ^ 0x61 = 1
    out[1] = 0x80000000 | value;
    return out;
  };
  const bytes = Uint8Array.of(0x62, 0, 0xe6, 0xb5, 0xb7, 0);
  const normalized = (value: number): string => {
    const normalizer = makeNormalizer({
      charsmap: { units: table(value), replacements: bytes },
      addDummyPrefix: false,
      removeExtraWhitespaces: false,
      escapeWhitespaces: true,
      treatWhitespaceAsSuffix: false,
    });
    return String.fromCodePoint(...normalizer.codePoints().subarray(0, normalizer.run("xax")));
  };
  assert.equal(normalized(0), "xbx");
  assert.equal(normalized(2), "x海x");
  assert.equal(normalized(3), "x\ufffd\ufffdx");
  assert.equal(normalized(99), "xx");
});

Deno.test("loadSentencePiece() says that a model is damaged when a number is beyond 2^53", () => {
  const model = serializeModel({ pieces: [{ piece: "<unk>", score: 0, type: "unknown" }] });
  const spec = protobufWriter().message(2, (inner) => inner.varint(4, 2n ** 60n)).finish();
  assert.throws(
    () => loadSentencePiece(Uint8Array.from([...model, ...spec])),
    (error: Error) =>
      error instanceof CorruptFileError && /vocab_size is 1152921504606846976 at byte/.test(error.message),
  );
});
