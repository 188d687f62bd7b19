// The trainer's and the normalizer's parts, each against a slow or independent statement of the same.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { knownBlobs, packedBlob } from "../../lib/tokenizer/charsmap_blobs.ts";
import { buildCharsmap, builtInCharsmap, parseCharsmap } from "../../lib/tokenizer/charsmap.ts";
import { reservoirDraw } from "../../lib/tokenizer/corpus.ts";
import { digamma } from "../../lib/tokenizer/em.ts";
import { formatScore } from "../../lib/tokenizer/format_score.ts";
import { splitList } from "../../lib/tokenizer/resolve_options.ts";
import { makeNormalizer } from "../../lib/tokenizer/normalizer.ts";
import { resolveOptions } from "../../lib/tokenizer/resolve_options.ts";
import { makePace, type Steps } from "../../lib/tokenizer/pace.ts";
import { listedIn9, scriptLookup } from "../../lib/tokenizer/scripts.ts";
import { sortedByScore } from "../../lib/tokenizer/sorting.ts";
import { commonPrefixes, suffixArray } from "../../lib/tokenizer/suffix_array.ts";
import { decodeUtf8, utf8Length } from "../../lib/tokenizer/utf8.ts";
import { validPieces } from "../../lib/tokenizer/valid_pieces.ts";

function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
  }
}

/** Small reproducible whole numbers. */
function draws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

Deno.test("buildCharsmap() builds the packed blobs byte for byte on any engine's Unicode", async () => {
  const wished = knownBlobs.find(({ name, unicode }) => name === "nmt_nfkc_cf" && unicode === 17);
  assert.ok(wished !== undefined);
  const blob = await buildCharsmap(wished, makePace());
  assert.equal(createHash("sha256").update(blob).digest("hex"), wished.sha256);
  assert.deepEqual(packedBlob(wished), blob);
});

Deno.test("builtInCharsmap() gives SentencePiece's tables of two Unicode versions without building them", async () => {
  for (const [unicode, hash] of [[13, "51d3684747b35ef9"], [17, "5febaab28312e9db"]] as const) {
    const blob = await builtInCharsmap("nmt_nfkc", makePace(), unicode);
    assert.equal(createHash("sha256").update(blob).digest("hex").slice(0, 16), hash);
  }
  for (const known of knownBlobs) {
    assert.equal(packedBlob(known)?.length, known.packed ? known.bytes : undefined);
  }
});

Deno.test("makeNormalizer() rewrites as nmt_nfkc does", async () => {
  const charsmap = parseCharsmap(await builtInCharsmap("nmt_nfkc", makePace()));
  const normalizer = makeNormalizer({
    charsmap,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
    treatWhitespaceAsSuffix: false,
  });
  const normalize = (text: string): string => {
    const count = normalizer.run(text);
    return String.fromCodePoint(...normalizer.codePoints().subarray(0, count));
  };
  const cases: [string, string][] = [
    ["  a \t b\u00a0 ", "▁a▁b"],
    ["ﬁne Ａ１ ½", "▁fine▁A1▁1⁄2"],
    ["ｶﾞ e\u0301 \u1112\u1161\u11ab", "▁ガ▁é▁한"],
    ["a\u0000b", "▁a\u0000b"],
    ["a\u200bb\u0007c", "▁a▁bc"],
    ["\ud800x", "▁\ufffdx"],
    ["", ""],
    [" \u3000 ", ""],
    ["▁a▁", "▁a"],
    ["😀", "▁😀"],
  ];
  for (const [text, wished] of cases) assert.equal(normalize(text), wished);
});

Deno.test("suffixArray() equals sorting all suffixes", () => {
  const draw = draws(7);
  for (let round = 0; round < 3000; round++) {
    const n = 1 + draw(40);
    const largest = 1 + draw(4);
    const text = Uint8Array.from({ length: n }, () => draw(largest + 1));
    const naive = [...text.keys()].sort((a, b) => {
      for (let k = 0;; k++) {
        if (a + k >= n) return -1;
        if (b + k >= n) return 1;
        const difference = (text[a + k] as number) - (text[b + k] as number);
        if (difference !== 0) return difference;
      }
    });
    const order = finish(suffixArray(text, largest));
    assert.deepEqual([...order], naive);
    const prefixes = finish(commonPrefixes(text, order, 5));
    for (let i = 1; i < n; i++) {
      const [a, b] = [order[i - 1] as number, order[i] as number];
      let length = 0;
      while (length < 5 && Math.max(a, b) + length < n && text[a + length] === text[b + length]) length++;
      assert.equal(prefixes[i], length);
    }
  }
});

Deno.test("suffixArray() tells how far it is", () => {
  const draw = draws(9);
  const text = Uint8Array.from({ length: 3 << 20 }, () => draw(3));
  const shares: number[] = [];
  const steps = suffixArray(text, 2);
  for (let step = steps.next(); !step.done; step = steps.next()) {
    if (typeof step.value === "number") shares.push(step.value);
  }
  assert.ok(shares.length > 10);
  assert.deepEqual(shares, [...shares].sort((a, b) => a - b));
  assert.ok((shares[0] as number) >= 0 && (shares.at(-1) as number) <= 1);
});

Deno.test("sortedByScore() is stable and descending", () => {
  const draw = draws(3);
  const scores = Int32Array.from({ length: 5000 }, () => draw(3) === 0 ? draw(1 << 24) * 100 : draw(50));
  const wished = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  assert.deepEqual([...sortedByScore(scores, scores.length)], wished);
});

Deno.test("formatScore() prints as %g does", () => {
  const cases: [number, string][] = [
    [-9.640625, "-9.64062"], // an exact tie goes to the even digit
    [-9.640635, "-9.64063"],
    [0, "0"],
    [-2.77575, "-2.77575"],
    [0.00001, "1e-05"],
    [123456789, "1.23457e+08"],
    [100000, "100000"],
    [999999.5, "1e+06"],
    [-0.00012345678, "-0.000123457"],
    [0.5, "0.5"],
    [-10, "-10"],
  ];
  for (const [value, text] of cases) assert.equal(formatScore(value), text);
});

Deno.test("digamma() is right to ten digits", () => {
  // Abramowitz and Stegun, table 6.1 and section 6.3.
  assert.ok(Math.abs(digamma(1) + 0.5772156649015329) < 1e-9);
  assert.ok(Math.abs(digamma(0.5) + 1.9635100260214235) < 1e-9);
  assert.ok(Math.abs(digamma(10) - 2.251752589066721) < 1e-10);
});

Deno.test("splitList() follows spm_train's quotes", () => {
  assert.deepEqual(splitList('(,),",-,.,–'), ["(", ")", ",-,.,–"]);
  assert.deepEqual(splitList('a,"b,c",""""'), ["a", "b,c", '"']);
  assert.deepEqual(splitList('"a"b,c'), ["a", "c"]); // what stands behind a closing quote is lost there
  assert.deepEqual(splitList(""), []);
});

Deno.test("reservoirDraw() draws below t with mt19937's words", () => {
  // From Python's random with the state that init_genrand(12345678) leaves, and Lemire's formula.
  const draw = reservoirDraw(12345678);
  assert.deepEqual([101, 102, 103, 104, 1000, 31102].map(draw), [24, 81, 61, 33, 358, 5978]);
  const again = reservoirDraw(12345678);
  assert.deepEqual(Array.from({ length: 5 }, () => again(3000000000)), [
    737412696,
    2390277543,
    1789285830,
    1076374892,
    576637353,
  ]); // with rejections
});

Deno.test("scriptLookup() knows the scripts of Unicode 9.0 only", () => {
  const listed = listedIn9();
  let count = 0;
  for (let cp = 0; cp <= 0x10ffff; cp++) if (listed(cp)) count++;
  assert.equal(count, 120960); // assigned in 9.0 with a script other than Common
  const script = scriptLookup();
  assert.equal(script(0x61), script(0xe9));
  assert.notEqual(script(0x61), script(0x430));
  assert.equal(script(0x3042), script(0x4e00)); // Hiragana counts as Han
  assert.equal(script(0x30fc), script(0x4e00));
  assert.equal(script(0x31), 0);
  assert.equal(script(0x1e900), script(0x1e943)); // Adlam came with 9.0
  assert.equal(script(0x10d00), 0); // Hanifi Rohingya came with 11.0
  assert.equal(script(0x300), 1);
  assert.equal(script(0x953), script(0x905));
});

Deno.test("validPieces() follows the table of rules", () => {
  const check = (piece: string, flags: object = {}): boolean => {
    const codePoints = Int32Array.from([
      0,
      0x2585,
      ...new Set(Array.from(piece, (c) => c.codePointAt(0) as number)),
    ]);
    const text = Int32Array.from(
      piece === "" ? [] : Array.from(piece, (c) => codePoints.indexOf(c.codePointAt(0) ?? 0)),
    );
    return validPieces({ codePoints, rare: 1 }, resolveOptions(flags))(text, 0, text.length);
  };
  for (const piece of ["1.5", "--", "1,", "▁the", "▁", "アー亜", "e\u0301a"]) assert.ok(check(piece), piece);
  for (const piece of ["", "F1", "don't", "a.", "a▁b", "▁▁", "a▁", "a▅", "abcdefghijklmnopq"]) {
    assert.ok(!check(piece), piece);
  }
  assert.ok(check("F1", { split_by_number: false }));
  assert.ok(check("F1", { split_by_unicode_script: false }));
  assert.ok(!check("12", { split_digits: true }) && check("1", { split_digits: true }));
  assert.ok(check("a▁b", { split_by_whitespace: false }) && !check("a▁", { split_by_whitespace: false }));
  assert.ok(check("▁▁", { allow_whitespace_only_pieces: true }));
  assert.ok(
    check("a▁", { treat_whitespace_as_suffix: true }) && !check("▁a", { treat_whitespace_as_suffix: true }),
  );
});

Deno.test("decodeUtf8() replaces every bad byte, utf8Length() counts bytes", () => {
  assert.equal(decodeUtf8(Uint8Array.of(0x61, 0xe2, 0x82, 0x62, 0xff, 0xc0, 0x80), "?"), "a??b???");
  assert.equal(decodeUtf8(Uint8Array.of(0xed, 0xa0, 0x80), "?"), "???");
  for (const text of ["", "a", "é", "€", "😀", "a€😀é"]) {
    assert.equal(utf8Length(text), new TextEncoder().encode(text).length);
  }
});
