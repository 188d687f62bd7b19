/** What the tests of the XLA engine share: whether it can run here, and its process, started outside of any test. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findPlugin, openEngine } from "albert-guide";

/** Whether a plugin is installed; tests never fetch one. */
export const xlaHere: boolean = findPlugin() !== undefined;

/** The reason in the name of a test that is left out. */
export const xlaNote: string = xlaHere ? "" : " (left out: no XLA plugin is installed)";

/** Starts the process, so that no test seems to leave it behind. */
export async function startXla(): Promise<void> {
  if (!xlaHere) return;
  const engine = await openEngine("xla");
  engine.release(await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] }));
  const buffer = await engine.upload(Float32Array.of(1), { dtype: "float32", shape: [1] });
  await engine.download(buffer);
  engine.release(buffer);
}

/** Sends a signal until it works: V8 takes the first SIGSEGV for a trap of WebAssembly, a fault would come again at once. */
export async function strike(pid: number, signal: "SIGKILL" | "SIGSEGV" | "SIGABRT"): Promise<void> {
  for (let i = 0; i < 100 && existsSync(`/proc/${pid}`); i++) {
    try {
      process.kill(pid, signal);
    } catch {
      return; // It is gone.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Gives every engine made inside a cache folder of its own. */
export async function withCache(fn: (programs: string) => Promise<void>): Promise<void> {
  const before = process.env["XDG_CACHE_HOME"];
  const folder = mkdtempSync(join(tmpdir(), "albert-xla-"));
  process.env["XDG_CACHE_HOME"] = folder;
  try {
    await fn(join(folder, "albert-guide", "programs"));
  } finally {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
    rmSync(folder, { recursive: true, force: true });
  }
}
