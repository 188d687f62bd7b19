import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";
import { killSaves } from "./kill_saves.ts";

const worker = new URL("kill_worker.ts", import.meta.url).pathname;

function start(folder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", worker, folder],
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function finish(folder: string): Promise<void> {
  const { code, stderr } = await start(folder).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test("pretrain() ends with the same bits after kill -9 at random instants", async () => {
  const [whole, killed] = ["whole", "killed"].map(() => mkdtempSync(join(tmpdir(), "albert-"))) as [
    string,
    string,
  ];
  let before = 0;
  let kills = 0;
  while (kills < 12) {
    const child = start(killed);
    // Wait for the first new checkpoint, so that the kill comes while one is being saved or a step runs.
    const ended = child.status.then(() => true);
    let over = false;
    while (!over && (latestCheckpoint(killed) ?? "") === (before === 0 ? "" : stepPath(killed, before))) {
      over = await Promise.race([ended, new Promise<false>((resolve) => setTimeout(resolve, 2, false))]);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    if (!over) child.kill("SIGKILL");
    await child.stderr.cancel();
    if ((await child.status).code === 0) break;
    kills++;
    const { step } = readCheckpoint(killed).state;
    assert.ok(step > before, `step ${step} follows step ${before}`);
    before = step;
  }
  assert.ok(kills > 0);
  await finish(killed);
  await finish(whole);
  const [a, b] = [readCheckpoint(whole), readCheckpoint(killed)];
  assert.equal(b.state.step, 150);
  assert.deepEqual([b.parameters, b.m, b.v], [a.parameters, a.m, a.v]);
  const kept = (folder: string): string[] =>
    readdirSync(folder).filter((name) => !name.startsWith("events.") && !name.includes(".tmp-")).sort();
  assert.deepEqual(kept(killed), kept(whole));
  [whole, killed].forEach((folder) => rmSync(folder, { recursive: true }));
});

function stepPath(folder: string, step: number): string {
  return join(folder, `step-${String(step).padStart(6, "0")}`);
}

Deno.test("saveCheckpoint() leaves the old or the new step when it is killed at 50 random instants", async () => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const { torn } = await killSaves(folder, 50);
  assert.ok(torn > 0, "no kill came inside a save");
  rmSync(folder, { recursive: true });
});
