import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PackedCheckpoint, verifyCheckpoint } from "../../lib/train/checkpoint_files.ts";
import { openSaver } from "../../lib/train/saver.ts";

const packed = (folder: string, step: number, values: number = 2_000_000): PackedCheckpoint => ({
  folder,
  step,
  files: [{
    name: "model.safetensors",
    content: { tensors: { a: { shape: [values], data: new Float32Array(values).fill(step) } } },
  }],
  keep: 0,
  protect: [],
});

Deno.test("openSaver() saves beside the caller, one after the other, and gives every path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const paths: string[] = [];
  const saver = openSaver((path) => paths.push(path));
  const [first, second] = [packed(folder, 1), packed(folder, 2)];
  await saver.save(first, { last: false });
  assert.equal(existsSync(join(folder, "step-000001")), false); // it is only on its way
  const [{ content }] = first.files as [PackedCheckpoint["files"][number]];
  assert.ok("tensors" in content && content.tensors["a"]?.data.length === 0); // moved, not copied
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await saver.save(second, { last: false });
  clearInterval(timer);
  assert.deepEqual(paths, [join(folder, "step-000001")]); // the second one waited for it
  assert.ok(ticks > 0, "the caller was blocked");
  await saver.save(packed(folder, 3), { last: true });
  assert.deepEqual(paths.length, 3);
  await saver.close();
  paths.forEach(verifyCheckpoint);
  assert.deepEqual(readdirSync(folder), ["step-000001", "step-000002", "step-000003"]);
  rmSync(folder, { recursive: true });
});

Deno.test("openSaver() tells of a save that failed at the next look, and saves no more", async () => {
  const place = mkdtempSync(join(tmpdir(), "albert-"));
  const folder = join(place, "file");
  writeFileSync(folder, "in the way");
  const saver = openSaver(() => assert.fail("nothing was saved"));
  await saver.save(packed(folder, 1, 10), { last: false });
  saver.check(); // not known yet
  await assert.rejects(
    saver.save(packed(folder, 2, 10), { last: false }),
    /Cannot save the checkpoint .*step-000001/,
  );
  assert.throws(() => saver.check(), /a file is where a folder is needed/);
  await saver.close();
  rmSync(place, { recursive: true });
});
