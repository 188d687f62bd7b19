import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { pid } from "node:process";
import { openRange, openRanged, removeLeftovers } from "../../lib/formats/mod.ts";

const place = (): string => mkdtempSync(`${tmpdir()}/albert-`);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("openRanged() takes its name when all ranges stand, in whatever order they were written", async () => {
  const folder = `${place()}/deep`;
  const path = `${folder}/a.txt`;
  const file = openRanged(path, 9);
  const ranges = [6, 0, 3].map((at) => openRange({ path, temporary: file.temporary }, at));
  for (const turn of [0, 1]) {
    for (const [i, texts] of [["g", "hi"], ["a", "bc"], ["de", "f"]].entries()) {
      ranges[i]?.write(bytes(texts[turn] ?? ""));
      file.flush();
    }
  }
  for (const range of ranges) range.close();
  const middle = new Uint8Array(4);
  file.read(2, middle);
  assert.equal(new TextDecoder().decode(middle), "cdef");
  assert.equal(existsSync(path), false);
  await file.commit();
  assert.equal(readFileSync(path, "utf8"), "abcdefghi");
  await file.discard();
  assert.deepEqual(readdirSync(folder), ["a.txt"]);
});

Deno.test("openRanged() says where a file ends too early, what is full, and leaves nothing when discarded", async () => {
  const folder = place();
  const file = openRanged(`${folder}/a`, 8);
  truncateSync(file.temporary, 5);
  assert.throws(() => file.read(4, new Uint8Array(3)), /Cannot read .*a\.tmp-\d+: it ends at byte 5 of 8/);
  file.flush();
  await file.discard();
  assert.deepEqual(readdirSync(folder), []);
  await assert.rejects(file.commit(), /a: .*already closed/);
  symlinkSync("/dev/full", `${folder}/b.tmp-1`); // every write to it fails as on a full device
  const full = openRange({ path: `${folder}/b`, temporary: `${folder}/b.tmp-1` }, 0);
  assert.throws(() => full.write(bytes("x")), /Cannot write .*\/b: no space left on the device/);
  full.close();
  assert.throws(
    () => openRange({ path: `${folder}/c`, temporary: `${folder}/c.tmp-1` }, 0),
    /Cannot write .*\/c:/,
  );
  writeFileSync(`${folder}/file`, "");
  assert.throws(() => openRanged(`${folder}/file/d`, 1), /a file is where a folder is needed/);
});

Deno.test("removeLeftovers() removes drafts of dead processes alone", () => {
  const folder = place();
  const kept = ["a", `a.tmp-${pid}`, "a.tmp-1", "a.tmp-x", "aa.tmp-1073741824", "a.tmp-1073741824.json"];
  for (const name of [...kept, "a.tmp-1073741824"]) writeFileSync(`${folder}/${name}`, "");
  removeLeftovers(`${folder}/a`);
  assert.deepEqual(readdirSync(folder).sort(), kept.sort());
  removeLeftovers(`${folder}/none/a`);
});
