// Mistakes in JSON files: one line, the file and the byte, whatever V8 says; what is JSON is never refused.
import assert from "node:assert/strict";
import { CorruptFileError, parseJson } from "../../lib/formats/mod.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What is said of a text, and the byte. */
function refusal(content: Uint8Array, start = 0): readonly [string, number | undefined] {
  try {
    parseJson(content, { path: "a.json", start });
  } catch (error) {
    assert.ok(error instanceof CorruptFileError, String(error));
    assert.ok(!error.message.includes("\n"), error.message);
    return [error.message, error.place.byte];
  }
  return ["accepted", undefined];
}

const broken: readonly (readonly [string, number, string])[] = [
  ["", 0, "the end where a value must be"],
  ['{"a": NaN}', 6, '"NaN}" where a value must be'],
  ['{\n  "é": fals,\n  "b": 1\n}', 10, '"fals,\\n  \\"b\\":" where a value must be'],
  ['{"a": 1', 7, "the end where , or } must be"],
  ['{"a" 1}', 5, '"1}" where : must be'],
  ["[1, ]", 4, '"]" where a value must be'],
  ["[01]", 1, '"01]" where value or ] must be'],
  ["[1]]", 3, '"]" where the end must be'],
  ["{a: 1}", 1, '"a: 1}" where name or } must be'],
  ['{"a": 1,}', 8, '"}" where a name must be'],
  ['["a\nb"]', 3, '"\\nb\\"]" where the escape of a control character must be'],
  ['["\\x"]', 1, '"\\"\\\\x\\"]" where value or ] must be'],
  ["[1}", 2, '"}" where , or ] must be'],
];

for (const [text, byte, said] of broken) {
  Deno.test(`parseJson() says where ${JSON.stringify(text)} is no JSON`, () => {
    assert.deepEqual(refusal(bytes(text), 8), [
      `Cannot read a.json: it is no JSON, at byte ${8 + byte} there is ${said}`,
      8 + byte,
    ]);
  });
}

Deno.test("parseJson() names the byte that is no UTF-8", () => {
  const bad = bytes('{"aé": "b"}');
  bad[8] = 0xff;
  assert.deepEqual(refusal(bad), ["Cannot read a.json: it is no UTF-8 text at byte 8", 8]);
  assert.deepEqual(refusal(bytes('"é"').subarray(0, 2)), [
    "Cannot read a.json: it is no UTF-8 text at byte 1",
    1,
  ]);
});

Deno.test("parseJson() finds a place for whatever JSON.parse refuses, and gives what it accepts", () => {
  const good =
    '{"a": [1, -2.5e+3, 0, true, null, "x\\u00e9\\n\\"", {}], "b": {"c": "", "d": [[]]}, "e": 1E-2}';
  assert.deepEqual(parseJson(bytes(good), { path: "a.json" }), JSON.parse(good));
  const signs = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    ".",
    "e",
    "-",
    "+",
    "u",
    "\n",
    "\u0001",
    "é",
    " ",
  ];
  for (let at = 0; at <= good.length; at++) {
    for (const sign of ["", ...signs]) {
      for (const cut of [0, 1]) {
        const text = good.slice(0, at) + sign + good.slice(at + cut);
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const [message, byte] = refusal(bytes(text));
        assert.equal(message === "accepted", valid, text);
        if (!valid) assert.match(message, /, at byte \d+ there is .* must be$/, text);
        assert.ok(valid || byte !== undefined && byte <= bytes(text).length);
      }
    }
  }
});

Deno.test("parseJson() takes texts of megabytes and lists in lists in lists", () => {
  const long = `["${"a\\n".repeat(1_000_000)}" x`;
  assert.equal(refusal(bytes(long))[1], long.length - 1);
  assert.match(refusal(bytes("[".repeat(2_000)))[0], /at byte 2000 there is the end/);
});
