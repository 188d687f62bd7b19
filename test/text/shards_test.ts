// Raw files in shards: sizes, whole documents, going on after a stop, refusals.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Progress } from "../../lib/progress.ts";
import { type RawOptions, type RawReport, readRaw, taskName, writeRaw } from "../../lib/text/mod.ts";

/** 400 documents of three sentences; every tenth comes twice. */
function workspace(): { readonly folder: string; readonly options: RawOptions } {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  const documents = Array.from({ length: 400 }, (_, i) => {
    const number = i % 10 === 9 ? i - 1 : i;
    return `Document ${number} begins.\u0007 It has\u00a0 words. It ends.\n`;
  });
  writeFileSync(`${folder}/a.txt`, documents.slice(0, 250).join("\n"));
  writeFileSync(`${folder}/b.txt`, documents.slice(250).join("\n"));
  const options = {
    input: `${folder}/?.txt`,
    output: `${folder}/out/raw.txt`,
    heldOutOutput: `${folder}/out/held_out.txt`,
    heldOutEvery: 5,
    splitter: "clause",
    shardBytes: 3000,
  } as const;
  return { folder, options };
}

const shardsOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(`${folder}/out`).sort().map((name) => [name, readFileSync(`${folder}/out/${name}`, "utf8")]),
  );

/** Stops a run once it has reported 600 of its 1,080 sentences. */
async function stopHalfway(options: RawOptions): Promise<void> {
  const stop = new AbortController();
  const onProgress = ({ note = "" }: Progress): void => {
    if (Number(note.split(" ")[0]) >= 600) stop.abort();
  };
  await assert.rejects(writeRaw(options, { signal: stop.signal, onProgress }), { name: "AbortError" });
}

const withoutResumed = ({ resumed: _, ...report }: RawReport): Omit<RawReport, "resumed"> => report;

Deno.test("writeRaw() writes shards of the wished size that hold whole documents", async () => {
  const { folder, options } = workspace();
  const report = await writeRaw(options);
  const names = Object.keys(shardsOf(folder));
  assert.ok(names.filter((name) => /^raw-\d{5}\.txt$/.test(name)).length >= 5, names.join());
  assert.deepEqual(names.filter((name) => !/^(raw|held_out)-\d{5}\.txt$/.test(name)), []);
  assert.match(report.train.path, /raw-\*\.txt$/);
  assert.equal(report.train.shards?.length, names.filter((name) => name.startsWith("raw")).length);
  const sizes = report.train.shards?.map(({ bytes }) => bytes) ?? [];
  assert.ok(sizes.slice(0, -1).every((size) => size >= 3000 && size < 3100), sizes.join());
  assert.deepEqual([report.documents, report.dropped.duplicate], [400, 40]);
  let documents = 0;
  for (const { path, documents: wished } of report.train.shards ?? []) {
    let found = 0;
    for await (const sentences of readRaw(path)) {
      assert.equal(sentences.length, 3);
      found++;
    }
    assert.equal(found, wished);
    documents += found;
  }
  assert.equal(documents, report.train.documents);
});

Deno.test("writeRaw() goes on after its last shard and gives the same files and the same report", async () => {
  const [whole, stopped] = [workspace(), workspace()];
  const expected = await writeRaw(whole.options);
  await stopHalfway(stopped.options);
  const before = Object.keys(shardsOf(stopped.folder));
  assert.ok(before.includes("raw.txt.unfinished.json") && before.includes("raw-00001.txt"), before.join());
  assert.ok(!before.some((name) => name.includes(".tmp-")), before.join());
  const times = before.filter((name) => name.startsWith("raw-")).map((name) =>
    [name, statSync(`${stopped.folder}/out/${name}`).mtimeMs] as const
  );
  const report = await writeRaw(stopped.options);
  assert.ok(report.resumed > 50 && report.resumed < 400, String(report.resumed));
  for (const [name, time] of times) {
    assert.equal(statSync(`${stopped.folder}/out/${name}`).mtimeMs, time, name);
  }
  assert.deepEqual(shardsOf(stopped.folder), shardsOf(whole.folder));
  const here = JSON.parse(JSON.stringify(withoutResumed(report)).replaceAll(stopped.folder, whole.folder));
  assert.deepEqual(here, JSON.parse(JSON.stringify(withoutResumed(expected))));
});

Deno.test("writeRaw() does not mix shards of two runs", async () => {
  const { folder, options } = workspace();
  await stopHalfway(options);
  await assert.rejects(writeRaw({ ...options, minSentences: 2 }), {
    name: "RangeError",
    message: /raw\.txt\.unfinished\.json belongs to a run with other inputs or options.*--overwrite/,
  });
  writeFileSync(`${folder}/b.txt`, "Changed. Text.\n");
  await assert.rejects(writeRaw(options), /other inputs or options/);
  const fresh = await writeRaw({ ...options, overwrite: true });
  assert.equal(fresh.resumed, 0);
  await assert.rejects(writeRaw(options), /shards lie there, the first is .*raw-00000\.txt.*--overwrite/);
  const shorter = await writeRaw({ ...options, overwrite: true, shardBytes: 100_000 });
  assert.equal(shorter.train.shards?.length, 1);
  assert.deepEqual(Object.keys(shardsOf(folder)), ["held_out-00000.txt", "raw-00000.txt"]);
});

Deno.test("writeRaw() says which shard is missing or damaged when it should go on", async () => {
  const { folder, options } = workspace();
  await stopHalfway(options);
  writeFileSync(`${folder}/out/raw-00000.txt`, "short");
  await assert.rejects(writeRaw(options), /raw-00000\.txt has \d+ bytes, it has 5/);
  rmSync(`${folder}/out/raw-00000.txt`);
  await assert.rejects(writeRaw(options), /raw-00000\.txt has \d+ bytes, it is not there/);
  writeFileSync(`${folder}/out/raw.txt.unfinished.json`, "{");
  await assert.rejects(writeRaw(options), /unfinished\.json is not its state/);
});

Deno.test("writeRaw() removes what a killed run left half written, not what a living one writes", async () => {
  const { folder, options } = workspace();
  await stopHalfway(options);
  const dead = spawnSync(Deno.execPath(), ["--version"]).pid;
  writeFileSync(`${folder}/out/raw-00002.txt.tmp-${dead}`, "half");
  writeFileSync(`${folder}/out/raw-00003.txt.tmp-1`, "of a living process");
  await writeRaw(options);
  assert.equal(existsSync(`${folder}/out/raw-00002.txt.tmp-${dead}`), false);
  assert.equal(existsSync(`${folder}/out/raw-00003.txt.tmp-1`), true);
});

Deno.test("writeRaw() stops at a signal without a half-written file", async () => {
  const { folder, options } = workspace();
  const { shardBytes: _, ...plain } = options;
  await stopHalfway(plain);
  assert.deepEqual(readdirSync(`${folder}/out`), []);
});

Deno.test("writeRaw() refuses shards that are no size", async () => {
  const { options } = workspace();
  for (const shardBytes of [-1, 10, 1.5e3 + 0.5, NaN]) {
    await assert.rejects(writeRaw({ ...options, shardBytes }), /shard_bytes is .*integer >= 1000/);
  }
});

Deno.test("writeRaw() as four tasks writes the documents of one run, whatever is held out or known already", async () => {
  const { folder, options } = workspace();
  const { shardBytes: _, ...plain } = options;
  const documentsIn = async (...paths: string[]): Promise<string[]> => {
    const found: string[] = [];
    for (const path of paths) for await (const sentences of readRaw(path)) found.push(sentences.join(" "));
    return found.sort();
  };
  const whole = await writeRaw(plain);
  const taskCount = 4;
  const tasks: RawReport[] = [];
  for (let taskIndex = 0; taskIndex < taskCount; taskIndex++) {
    tasks.push(await writeRaw({ ...plain, taskIndex, taskCount }));
  }
  const paths = (side: string): string[] =>
    Array.from({ length: taskCount }, (_, i) => taskName(`${folder}/out/${side}.txt`, i, taskCount));
  for (const side of ["raw", "held_out"]) {
    assert.deepEqual(await documentsIn(...paths(side)), await documentsIn(`${folder}/out/${side}.txt`));
  }
  const sum = (of: (report: RawReport) => number): number =>
    tasks.reduce((all, report) => all + of(report), 0);
  assert.equal(sum(({ documents }) => documents), whole.documents);
  assert.equal(sum(({ dropped }) => dropped.duplicate), whole.dropped.duplicate);
  assert.equal(sum(({ train }) => train.sentences), whole.train.sentences);
  assert.deepEqual(sum(({ cleaning }) => cleaning.control), whole.cleaning.control);
  const more = await writeRaw({ ...plain, taskIndex: 450, taskCount: 500 }); // more tasks than documents
  assert.deepEqual([more.documents, more.train.sentences], [0, 0]);
  await assert.rejects(writeRaw({ ...plain, taskIndex: 4, taskCount }), /task 4 of 4, expected 0 to 3/);
  await assert.rejects(
    writeRaw({ ...plain, documentSentences: 5, taskIndex: 0, taskCount }),
    /groups go over documents/,
  );
});
