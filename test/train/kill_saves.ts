/** Kills a process that saves one checkpoint after the other; the test does it 50 times, the bench 1,000 times. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { latestCheckpoint, readCheckpoint } from "../../lib/train/mod.ts";

const saver = new URL("save_worker.ts", import.meta.url).pathname;

async function killOne(
  folder: string,
  first: boolean,
): Promise<{ readonly begun: number; readonly ended: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", saver, folder],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  let [lines, done] = ["", false];
  const reading = (async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      lines += new TextDecoder().decode(part.value);
    }
    done = true;
  })();
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  while (lines === "" && !done) await pause(1);
  // The first one is let through, so that there is a step to keep.
  while (first && !lines.includes("end 1")) await pause(1);
  // Random instants of the saves that follow each other: a save takes a few milliseconds.
  await pause(Math.random() * 25);
  child.kill("SIGKILL");
  await child.status;
  await reading;
  const last = (word: string): number =>
    Number(lines.trim().split("\n").findLast((line) => line.startsWith(word))?.slice(word.length) ?? 0);
  return { begun: last("begin "), ended: last("end ") };
}

/** Kills `kills` savers; fails unless the old or the new step loads after each. Returns how many left a torn save. */
export async function killSaves(folder: string, kills: number): Promise<{ readonly torn: number }> {
  let torn = 0;
  let kept = latestCheckpoint(folder) === undefined ? 0 : readCheckpoint(folder).state.step;
  for (let i = 0; i < kills; i++) {
    const { begun, ended } = await killOne(folder, kept === 0);
    if (readdirSync(folder).some((name) => name.includes(".tmp-"))) torn++;
    const latest = readCheckpoint(folder).state.step; // reads every byte
    assert.ok(
      latest >= Math.max(kept, ended) && latest <= Math.max(kept, begun),
      `${kept}, ${ended} <= ${latest} <= ${begun}`,
    );
    kept = latest;
  }
  return { torn };
}
