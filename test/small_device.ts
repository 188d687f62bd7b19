/** Devices that get full or become read-only: a small file system in memory, where this process may mount one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inFolder } from "./folder.ts";

/** A small device of its own, where this process may mount one. */
export const canMount: boolean = (() => {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const made = spawnSync("mount", ["-t", "tmpfs", "-o", "size=100k", "none", folder]).status === 0;
  if (made) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true });
  return made;
})();

/** Runs a test in a folder that is a device of so many bytes. */
export async function onDevice(size: string, test: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const mount = (...options: string[]): void => {
      assert.equal(spawnSync("mount", [...options, folder]).status, 0);
    };
    mount("-t", "tmpfs", "-o", `size=${size}`, "none");
    try {
      await test(folder);
    } finally {
      spawnSync("umount", ["-l", folder]);
    }
  });
}

/** Changes the device; a save that has a file open keeps it busy for a moment, and is waited for. */
export const remount = (folder: string, option: string): void => {
  const until = Date.now() + 20_000;
  for (;;) {
    const { status, stderr } = spawnSync("mount", ["-o", `remount,${option}`, folder], { encoding: "utf8" });
    if (status === 0) return;
    assert.ok(Date.now() < until, `mount ${option}: ${stderr}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
};
