import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import * as zlib from "node:zlib";
import { gzipSync } from "node:zlib";
import { CorruptFileError } from "../../lib/formats/mod.ts";
import { type DocumentOptions, readDocuments, type TextDocument } from "../../lib/text/mod.ts";

function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    writeFileSync(`${folder}/${name}`, content);
  }
  return folder;
}

async function read(
  inputs: string | readonly string[],
  options: DocumentOptions = {},
): Promise<TextDocument[]> {
  const documents: TextDocument[] = [];
  for await (const document of readDocuments(inputs, options)) documents.push(document);
  return documents;
}

const texts = async (inputs: string | readonly string[], options: DocumentOptions = {}): Promise<string> =>
  (await read(inputs, options)).map(({ paragraphs }) => paragraphs.join("/")).join("|");

Deno.test("readDocuments() ends documents at blank lines when the text has any line ends and a BOM", async () => {
  const folder = folderWith({
    "lf.txt": "a\nb\n\n \n\nc",
    "crlf.txt": "\ufeffa\r\nb\r\n\r\nc\r\n",
    "cr.txt": "a\rb\r\rc\r",
    "blank.txt": "\n\n\n",
    "empty.txt": "",
  });
  for (const name of ["lf", "crlf", "cr"]) assert.equal(await texts(`${folder}/${name}.txt`), "a/b|c", name);
  assert.equal(await texts(`${folder}/blank.txt,${folder}/empty.txt`), "");
});

Deno.test("readDocuments() makes one document of a file when documentPerFile is set", async () => {
  const folder = folderWith({ "a.txt": "a\n\nb\n", "b.txt": "c\n" });
  assert.equal(await texts(folder, { documentPerFile: true }), "a/b|c");
});

Deno.test("readDocuments() unpacks gzip, also of several members", async () => {
  const folder = folderWith({ "a.txt.gz": Buffer.concat([gzipSync("a\n\nb"), gzipSync("c\n")]) });
  assert.equal(await texts(`${folder}/a.txt.gz`), "a|bc");
});

Deno.test("readDocuments() unpacks zstd, or says what is needed", async () => {
  const pack = (zlib as unknown as { zstdCompressSync?: (input: string) => Uint8Array }).zstdCompressSync;
  const folder = folderWith({ "a.txt.zst": pack ? pack("a\n\nb\n") : "" });
  if (pack) assert.equal(await texts(folder), "a|b");
  else await assert.rejects(texts(folder), /Deno or Node >= 22\.15/);
});

Deno.test("readDocuments() names the file when gzip is cut or is no gzip", async () => {
  const whole = gzipSync(Array.from({ length: 20_000 }, (_, i) => `${i * 7919 % 10007}\n`).join(""));
  const folder = folderWith({ "cut.gz": whole.subarray(0, whole.length / 2), "no.gz": "plain text" });
  for (const name of ["cut.gz", "no.gz"]) {
    await assert.rejects(read(`${folder}/${name}`), (error: Error) => {
      return error instanceof CorruptFileError && error.message.includes(`Cannot unpack ${folder}/${name}`);
    });
  }
});

Deno.test("readDocuments() reads JSON lines with title, another field and search dumps", async () => {
  const folder = folderWith({
    "a.jsonl": '{"text":"x\\ny","title":"T"}\n\n{"text":""}\n{"text":"z"}\n',
    "b.ndjson.gz": gzipSync('{"index":{"_id":1}}\n{"content":"wiki"}\n'),
  });
  const documents = await read(`${folder}/a.jsonl`);
  assert.deepEqual(documents.map(({ name }) => name), ["T", "a.jsonl:4"]);
  assert.equal(await texts(`${folder}/a.jsonl`), "x/y|z");
  assert.equal(await texts(`${folder}/b.ndjson.gz`, { textField: "content" }), "wiki");
});

Deno.test("readDocuments() names line and fields when JSON lines are damaged", async () => {
  const folder = folderWith({
    "bad.jsonl": '{"text":"x"}\n{"text":\n',
    "field.jsonl": '{"body":"x"}\n',
    "n.jsonl": "7\n",
  });
  await assert.rejects(read(`${folder}/bad.jsonl`), {
    name: "CorruptFileError",
    message: /line 2 of .*bad\.jsonl/,
  });
  await assert.rejects(read(`${folder}/n.jsonl`), {
    name: "CorruptFileError",
    message: /one JSON object a line/,
  });
  await assert.rejects(read(`${folder}/field.jsonl`), {
    name: "TypeError",
    message: /it has "body"; set text_field/,
  });
});

for (const codec of ["snappy", "gzip", "zstd"]) {
  Deno.test(`readDocuments() reads parquet with ${codec} pages and several row groups`, async () => {
    const path = fileURLToPath(new URL(`../golden/text/wiki_${codec}.parquet`, import.meta.url));
    const documents = await read(path);
    assert.deepEqual(documents.map(({ name, paragraphs }) => [name, ...paragraphs]), [
      ["Eins", "Erster Absatz. Satz zwei.", "Zweiter Absatz äöü."],
      ["Zwei", "Nur ein Satz."],
      [`wiki_${codec}.parquet:5`, "Fünf."],
    ]);
    await assert.rejects(read(path, { textField: "body" }), {
      message: /it has "id", "title", "text", "views"/,
    });
  });
}

Deno.test("readDocuments() names the file when parquet is damaged", async () => {
  const folder = folderWith({ "bad.parquet": "PAR1 this is not parquet at all PAR1" });
  await assert.rejects(read(`${folder}/bad.parquet`), {
    name: "CorruptFileError",
    message: /bad\.parquet as parquet/,
  });
});

Deno.test("readDocuments() names file and byte when a byte is not UTF-8", async () => {
  const long = new TextEncoder().encode("ä\n".repeat(50_000));
  const cases: [string, number[], number][] = [
    ["latin1", [0x61, 0xe4, 0x62], 1],
    ["overlong", [0x61, 0x0a, 0xc0, 0x80], 2],
    ["surrogate", [0xed, 0xa0, 0x80], 0],
    ["cut", [0x61, 0xe2, 0x82], 1],
    ["continuation", [0x80], 0],
    ["high", [0xf4, 0x90, 0x80, 0x80], 0],
  ];
  for (const [name, bytes, at] of cases) {
    for (const lead of [new Uint8Array(0), long]) {
      const folder = folderWith({ "a.txt": Buffer.concat([lead, Uint8Array.from(bytes)]) });
      await assert.rejects(read(folder), (error: CorruptFileError) => {
        assert.equal(error.place.byte, lead.length + at, name);
        assert.match(error.message, /a\.txt as UTF-8: byte \d+, in line \d+, is 0x[0-9a-f]{2}.*iconv/);
        return error instanceof CorruptFileError;
      });
    }
  }
});

Deno.test("readDocuments() advises the right conversion when the file is UTF-16", async () => {
  const folder = folderWith({ "a.txt": Buffer.from("\ufeffabc\n", "utf16le") });
  await assert.rejects(read(folder), /byte 0, in line 1, is 0xff.*iconv -f UTF-16/);
});

Deno.test("readDocuments() takes folders, globs, braces, lists and names with commas, in a fixed order", async () => {
  const folder = folderWith({
    "b.txt": "b",
    "a.md": "a",
    "deep/er/c.txt": "c",
    "deep/d.jsonl": '{"text":"d"}',
    "skip.bin": "no",
    ".hidden.txt": "no",
    "x,y.log": "comma",
  });
  assert.equal(await texts(folder), "a|b|d|c");
  assert.equal(await texts(`${folder}/**/*.txt`), "b|c");
  assert.equal(await texts(`${folder}/{b,a}.*`), "a|b");
  assert.equal(await texts(`${folder}/[ab].??, ${folder}/b.txt`), "a|b");
  assert.equal(await texts(`${folder}/[!a].txt`), "b");
  assert.equal(await texts(`${folder}/x,y.log`), "comma");
  assert.equal(await texts([`${folder}/b.txt`, `${folder}/a.md`]), "b|a");
});

Deno.test("readDocuments() names what is missing", async () => {
  const folder = folderWith({ "a.bin": "x" });
  await assert.rejects(read(`${folder}/no.txt`), /no\.txt: there is no such file or folder/);
  await assert.rejects(read(`${folder}/*.txt`), /\*\.txt: the pattern matches no file/);
  await assert.rejects(read(folder), /the folder has no \.txt/);
  await assert.rejects(read(`${folder}/a.bin/b.txt`), /a part of its path is a file/);
  await assert.rejects(read(""), /names no file/);
  await assert.rejects(read(`${folder}/a.bin,${folder}/no.txt`), /no\.txt: there is no such/);
});

Deno.test("readDocuments() cuts endless documents so that memory stays bounded", async () => {
  const line = `${"word ".repeat(2000)}\n`;
  const folder = folderWith({ "a.txt": line.repeat(3400) });
  const documents = await read(folder);
  assert.ok(documents.length >= 3 && documents.length <= 4, String(documents.length));
  assert.equal(documents.reduce((sum, { paragraphs }) => sum + paragraphs.length, 0), 3400);
});

/** Reads standard input in a process of its own; gives documents, or the message of the error. */
function readStdin(input: Uint8Array | string, options: DocumentOptions = {}): string {
  const program = `
    import { readDocuments } from "${new URL("../../lib/text/mod.ts", import.meta.url).href}";
    const found = [];
    try {
      for await (const one of readDocuments("-", ${
    JSON.stringify(options)
  })) found.push(one.paragraphs.join("/"));
      console.log(found.join("|"));
    } catch (error) {
      console.log(error.name + ": " + error.message);
    }`;
  const { stdout, stderr } = spawnSync(Deno.execPath(), ["eval", "--no-check", program], { input });
  return stdout.toString().trim() + stderr.toString();
}

Deno.test("readDocuments() reads standard input, packed or not", () => {
  assert.equal(readStdin("a\nb\n\nc\n"), "a/b|c");
  assert.equal(readStdin(gzipSync("a\n\n" + "word ".repeat(200_000))).length, 2 + 1_000_000 - 1);
  assert.equal(readStdin('{"text":"x\\ny"}\n{"text":"z"}\n', { format: "jsonl" }), "x/y|z");
  assert.equal(readStdin(""), "");
});

Deno.test("readDocuments() names standard input and the byte when it is damaged", () => {
  assert.match(
    readStdin(Uint8Array.of(0x61, 0x0a, 0xe4, 0x62)),
    /standard input as UTF-8: byte 2, in line 2, is 0xe4/,
  );
  const packed = gzipSync("word ".repeat(10_000));
  assert.match(readStdin(packed.subarray(0, 40)), /CorruptFileError: Cannot unpack standard input/);
  assert.match(readStdin("PAR1 and more"), /standard input: it is a parquet file/);
});

Deno.test("readDocuments() refuses standard input twice", async () => {
  await assert.rejects(read("-,-"), /standard input \(-\) can be read only once/);
});

Deno.test("readDocuments() takes the format that is named over the ending", async () => {
  const folder = folderWith({ "a.log": '{"text":"x"}\n', "b.jsonl": "plain\n" });
  assert.equal(await texts(`${folder}/a.log`, { format: "jsonl" }), "x");
  assert.equal(await texts(`${folder}/b.jsonl`, { format: "text" }), "plain");
});

Deno.test("readDocuments() names the line of a byte that is not UTF-8, and a packed file by its first bytes", async () => {
  const folder = folderWith({
    "far.txt": Buffer.concat([Buffer.from("ä\r\n".repeat(70_000)), Uint8Array.of(0x61, 0xff)]),
    "gz.txt": gzipSync("text"),
  });
  await assert.rejects(read(`${folder}/far.txt`), (error: CorruptFileError) => {
    assert.deepEqual([error.place.record, error.place.byte], [70_001, 280_001]);
    return true;
  });
  await assert.rejects(read(`${folder}/gz.txt`), /byte 1, in line 1, is 0x8b.*let its name end in \.gz/);
});
