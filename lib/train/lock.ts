/**
 * One trainer per output_dir: a lock file that names the process, its machine and when it began; a dead process's lock is
 * taken over, also when another program has its number by now.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pid } from "node:process";
import type { PretrainingConfig } from "../config/mod.ts";
import { isAlive } from "../formats/mod.ts";
import { failedWrite } from "./checkpoint_files.ts";
import { written } from "./stepping.ts";

/** When a process began, in ticks since the machine did; "" where nobody says so. Source: proc(5), field 22 of stat. */
function beginOf(process: number): string {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

const held = new Set<string>();

type Holder = {
  readonly text: string;
  readonly process: string;
  readonly host: string;
  readonly begin: string;
};

function holderOf(path: string): Holder {
  const text = readFileSync(path, "utf8");
  const [process = "?", host = "?", begin = ""] = text.trim().split(" ");
  return { text, process, host, begin };
}

function isLive({ process, host, begin }: Holder, path: string): boolean {
  if (host !== hostname()) return true; // nobody can know from here
  if (Number(process) === pid) return held.has(path);
  return isAlive(Number(process)) && (begin === "" || begin === beginOf(Number(process)));
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    // Where nothing can be made at all, as in /proc, the system says that nothing is found.
    if ((cause as { code?: string }).code !== "ENOENT") throw cause;
    throw new Error("no folder can be made there; choose another output_dir", { cause });
  }
}

/** Takes the lock of a folder and returns what gives it back; throws when another trainer holds it. */
export function lockFolder(folder: string): () => void {
  const path = join(folder, "train.lock");
  const own = `${pid} ${hostname()} ${beginOf(pid)}\n`;
  for (let round = 0;; round++) {
    try {
      makeFolder(folder);
      writeFileSync(path, own, { flag: "wx" });
      break;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "EEXIST" || round > 3) throw failedWrite(`train in ${folder}`, error);
    }
    const aside = `${path}.tmp-${pid}`;
    try {
      const holder = holderOf(path);
      if (isLive(holder, path)) throw taken(folder, holder);
      // Two may find the same dead lock: only one of them moves it away, and who moves a fresh one puts it back.
      renameSync(path, aside);
      if (holderOf(aside).text !== holder.text) renameSync(aside, path);
      else rmSync(aside, { force: true });
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error; // it went away meanwhile
    }
  }
  held.add(path);
  return () => {
    held.delete(path);
    try {
      rmSync(path, { force: true });
    } catch {
      // The disk cannot be written to any more; a lock of a process that is gone is taken over.
    }
  };
}

const taken = (folder: string, { process, host }: Holder): Error =>
  new Error(
    `Cannot train in ${folder}: process ${process} on ${host} is training there; wait for it, choose another ` +
      "output_dir, or remove train.lock if it is gone",
  );

/** The lock of a run's folder, where this process writes to one. */
export function lockFor(
  run: Pick<PretrainingConfig, "output_dir">,
  controls: Parameters<typeof written>[1],
): () => void {
  const { output_dir } = written(run, controls);
  return output_dir === "" ? () => {} : lockFolder(output_dir);
}
