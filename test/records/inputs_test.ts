import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { expandPatterns, rawFile } from "../../lib/records/inputs.ts";
import { textsOf } from "./raw_texts.ts";

const folder = (): string => mkdtempSync(`${tmpdir()}/albert-`);

Deno.test("expandPatterns() sorts inside a pattern and keeps the order of the patterns", () => {
  const place = folder();
  mkdirSync(`${place}/sub.d`);
  const names = ["b.txt", "a.txt", "a1.txt", ".hidden.txt", "sub.d/c.txt", "[x].txt", "n.md"];
  for (const name of names) writeFileSync(`${place}/${name}`, "");
  const found = (patterns: string): string[] =>
    expandPatterns(patterns.split(",").map((pattern) => `${place}/${pattern}`).join(","))
      .map((path) => path.slice(place.length + 1));
  assert.deepEqual(found("b.txt,a*.txt"), ["b.txt", "a.txt", "a1.txt"]);
  assert.deepEqual(found("*.txt"), ["[x].txt", "a.txt", "a1.txt", "b.txt"]);
  assert.deepEqual(found("a?.txt,a.txt,a.txt"), ["a1.txt", "a.txt", "a.txt"]);
  assert.deepEqual(found("*/c.*"), ["sub.d/c.txt"]);
  assert.deepEqual(found("[ab].txt,[!a].txt"), ["a.txt", "b.txt", "b.txt"]);
  assert.deepEqual(found("[x].txt"), ["[x].txt"]); // a file of just this name
  assert.throws(() => found("n*.txt"), RangeError);
  assert.throws(() => expandPatterns(`${place}/b.txt,`), /"" matches no file; a comma too much\?/);
});

/** All lines of a file with this content. */
function linesOf(content: Uint8Array | string, mode: "r" | "rb" = "r"): string[] {
  const path = `${folder()}/raw.txt`;
  writeFileSync(path, content);
  const file = rawFile(path, mode);
  const lines = textsOf(file.blocks());
  assert.equal(
    file.bytes(),
    typeof content === "string" ? new TextEncoder().encode(content).length : content.length,
  );
  assert.match(file.sha256(), /^[0-9a-f]{64}$/);
  return lines;
}

Deno.test("rawFile() drops every carriage return, keeps a byte order mark and a last line without its end", () => {
  assert.deepEqual(linesOf("a\r\nb\rc\n\n\r\nd"), ["a", "bc", "", "", "d"]);
  assert.deepEqual(linesOf("\ufeffa\n"), ["\ufeffa"]);
  assert.deepEqual(linesOf(""), []);
  assert.deepEqual(linesOf("\n"), [""]);
  assert.deepEqual(linesOf("a\u2028b\u0085c\n"), ["a\u2028b\u0085c"]);
});

Deno.test("rawFile() keeps lines and characters whole across its blocks", () => {
  const lines = Array.from({ length: 9000 }, (_, i) => `${"ä€😀".repeat(i % 90)}${i}`);
  assert.deepEqual(linesOf(`${lines.join("\n")}\n`), lines);
  const long = "€".repeat(1_500_000);
  assert.deepEqual(linesOf(`x\n${long}\ny`), ["x", long, "y"]);
});

Deno.test("rawFile() takes a last line for the end when nothing is left of it, as TensorFlow's reader does", () => {
  assert.deepEqual(linesOf("a\n\r"), ["a"]);
  assert.deepEqual(linesOf("a\n "), ["a", " "]);
  assert.deepEqual(linesOf(Uint8Array.of(0x61, 0x0a, 0xff), "rb"), ["a"]);
});

Deno.test("rawFile() in mode rb drops what Python's decoder ignores, and keeps genuine replacement characters", () => {
  const cases: readonly (readonly [readonly number[], string])[] = [
    [[0x61, 0xff, 0x62], "ab"],
    [[0xe2, 0x82, 0x41], "A"],
    [[0xed, 0xa0, 0x80, 0x41], "A"], // a surrogate
    [[0xf4, 0x90, 0x80, 0x80], ""], // beyond U+10FFFF
    [[0xc0, 0x80, 0xc3, 0xa4, 0xef, 0xbf, 0xbd, 0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f], "ä\ufffd😀"],
  ];
  for (const [bytes, text] of cases) {
    assert.deepEqual(linesOf(Uint8Array.of(...bytes, 0x0a), "rb"), [text], String(bytes));
  }
});

Deno.test("rawFile() names the byte of invalid UTF-8 wherever it stands", () => {
  const invalid = [[0xff], [0xc3, 0x28], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [
    0xc0,
    0xaf,
  ]];
  for (const before of ["", "ok\n", "ä\ufffd €", `${"€\n".repeat(400_000)}`]) {
    for (const bytes of invalid) {
      const prefix = new TextEncoder().encode(before);
      const content = new Uint8Array([...prefix, ...bytes, 0x0a, 0x61]);
      assert.throws(
        () => linesOf(content),
        new RegExp(`invalid UTF-8 at byte ${prefix.length};`),
        `${bytes}`,
      );
    }
  }
});

Deno.test("expandPatterns() leaves out what lies beside outputs, unless it is named", () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const outputs = ["x", "x-00000-of-00002", "x-00001-of-00002"];
  const beside = ["x.keys", "x-00000-of-00002.manifest.json", "x-00001-of-00002.tmp-1"];
  for (const name of [...outputs, ...beside]) writeFileSync(`${folder}/${name}`, "");
  assert.deepEqual(expandPatterns(`${folder}/x*`), outputs.map((name) => `${folder}/${name}`));
  assert.deepEqual(expandPatterns(`${folder}/${beside[1]}`), [`${folder}/${beside[1]}`]);
});
