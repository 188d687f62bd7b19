/**
 * What killed processes leave behind: files under construction are named `<name>.tmp-<pid>`, so whoever writes the same file
 * next can tell whether somebody is still at work on one. Like locks, this sees the processes of one machine alone.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { kill, pid } from "node:process";

/**
 * Whether a process of that number runs on this machine.
 *
 * @param id Number of a process.
 * @returns True also for one that belongs to another user.
 * @example
 * ```ts
 * import { isAlive } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { pid } from "node:process";
 *
 * assert.deepEqual([isAlive(pid), isAlive(2 ** 30)], [true, false]);
 * ```
 */
export function isAlive(id: number): boolean {
  if (id === pid) return true;
  try {
    kill(id, 0);
    return !isZombie(id);
  } catch (error) {
    return (error as { readonly code?: string }).code === "EPERM";
  }
}

/** Whether a process has ended and only its parent has not asked how. Source: proc(5), field 3 of stat. */
function isZombie(id: number): boolean {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, "utf8");
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false; // no such system
  }
}

/**
 * Removes what dead processes left of a file half written; what a living one writes stays.
 *
 * @param path Final name of the file.
 * @example
 * ```ts
 * import { removeLeftovers } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const path = `${mkdtempSync(`${tmpdir()}/albert-`)}/a.tfrecord`;
 * writeFileSync(`${path}.tmp-${2 ** 30}`, "half");
 * removeLeftovers(path);
 * assert.equal(existsSync(`${path}.tmp-${2 ** 30}`), false);
 * ```
 */
export function removeLeftovers(path: string): void {
  const folder = dirname(path);
  const start = `${basename(path)}.tmp-`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // nothing is there, or nothing that may be seen
  }
  for (const name of names) {
    const id = name.startsWith(start) ? name.slice(start.length) : "";
    if (/^\d+$/.test(id) && !isAlive(Number(id))) rmSync(join(folder, name), { force: true });
  }
}
