import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FinetuneTask } from "../../lib/config/mod.ts";
import { type LabelledText, readLabelled } from "../../lib/train/mod.ts";

function reading(name: string, content: string | Uint8Array, task: FinetuneTask): LabelledText[] {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  try {
    writeFileSync(join(folder, name), content);
    return readLabelled(join(folder, name), task);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("readLabelled() reads the same examples from JSON lines, CSV and TSV", () => {
  const wanted = [{ text: 'He said, "go"', label: "1" }, { text: "two\nlines", label: "2" }];
  const json = '{"text":"He said, \\"go\\"","label":1}\r\n\n{"text":"two\\nlines","label":2,"more":null}\n';
  assert.deepEqual(reading("a.jsonl", json, "classify"), wanted);
  assert.deepEqual(
    reading("a.csv", 'label,text\r\n1,"He said, ""go"""\r\n2,"two\nlines"\r\n', "classify"),
    wanted,
  );
  assert.deepEqual(reading("a.tsv", 'text\tlabel\nHe said, "go"\t1\n"two\nlines"\t2', "classify"), wanted);
  const [pair] = reading("a.json", '{"text":"a","text_b":"b","label":true}', "pair");
  assert.deepEqual(pair, { text: "a", textB: "b", label: "true" });
});

Deno.test("readLabelled() reads tags from lists, from words with blanks between and from columns", () => {
  const wanted = [{ tokens: ["Moses", "went"], tags: ["B-NAME", "O"] }, { tokens: ["up"], tags: ["O"] }];
  const json = '{"tokens":["Moses","went"],"tags":["B-NAME","O"]}\n{"tokens":"up","tags":"O"}';
  assert.deepEqual(reading("a.ndjson", json, "tokens"), wanted);
  assert.deepEqual(reading("a.csv", "tokens,tags\nMoses went,B-NAME O\nup,O\n", "tokens"), wanted);
  const columns = "-DOCSTART- -X- O\n\nMoses NNP B-NAME\nwent VBD O\n\nup\tO\n";
  assert.deepEqual(reading("a.conll", columns, "tokens"), wanted);
});

Deno.test("readLabelled() names file and line of what is wrong", () => {
  const refused = (name: string, content: string | Uint8Array, task: FinetuneTask, message: RegExp): void =>
    assert.throws(() => reading(name, content, task), message);
  const good = '{"text":"a","label":"x"}\n';
  refused("a.jsonl", `${good}{"text":`, "classify", /a\.jsonl: line 2 is no JSON/);
  refused("a.jsonl", `${good}[1]`, "classify", /line 2 is no object of named fields/);
  refused(
    "a.jsonl",
    `${good}{"text":"b"}`,
    "classify",
    /line 2 has no label \(it has text\); classify needs text, label/,
  );
  refused("a.jsonl", good, "pair", /line 1 has no text_b \(it has text, label\)/);
  refused("a.jsonl", '{"text":"","label":"x"}', "classify", /line 1 has a text that is no text/);
  refused("a.jsonl", '{"text":"a","label":[1]}', "classify", /line 1 has a label that is neither/);
  refused("a.jsonl", '{"tokens":"a b","tags":"O"}', "tokens", /line 1 has 2 tokens and 1 tags/);
  refused("a.csv", "text,label\na,x\nb\n", "classify", /line 3 has 1 cells, the header has 2/);
  refused("a.csv", 'text,label\n"a,x\n', "classify", /the quote opened in line 2 is never closed/);
  refused("a.csv", "text,label\n", "classify", /holds no example/);
  refused("a.csv", "text,label,text\na,x,b\n", "classify", /the header names text twice$/);
  refused(
    "a.csv",
    'text,label\na,x\n"b" c,x\n',
    "classify",
    /line 3 has " c" behind a closing quote; write a quote/,
  );
  refused(
    "a.jsonl",
    `${good}\n{"text":"b","label":1}\n{"text":"c","label":true}`,
    "classify",
    /its labels are of several types \(line 1 "x", a string; line 3 1, a number\); write all of them as text$/,
  );
  refused("a.conll", "Moses\n", "tokens", /line 1 has a word and no tag/);
  refused("a.conll", "Moses B-NAME\n", "classify", /words and tags, which are for tokens/);
  refused("a.xml", "<a/>", "classify", /its ending tells no format/);
  refused("a.jsonl", Uint8Array.of(0xff, 0xfe), "classify", /it is no UTF-8 text/);
  assert.throws(() => readLabelled("nowhere.jsonl", "classify"), /there is no such file/);
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  mkdirSync(join(folder, "a.csv"));
  assert.throws(() => readLabelled(join(folder, "a.csv"), "classify"), /it is a folder/);
  rmSync(folder, { recursive: true });
});
