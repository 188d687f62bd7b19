// Saving is killed at random instants, 1,000 of them unless told otherwise: afterwards the old or the new step loads.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killSaves } from "../train/kill_saves.ts";

/** `--kills=N`, default 1000. Throws when a kill left neither. */
export async function* killBench(flags: { readonly [name: string]: string }): AsyncGenerator<string> {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const kills = Number(flags["kills"] ?? 1000);
  try {
    let done = 0;
    let torn = 0;
    while (done < kills) {
      const round = Math.min(50, kills - done);
      torn += (await killSaves(folder, round)).torn;
      done += round;
      yield `${done} kills: the old or the new step each time, ${torn} of them inside a save`;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
