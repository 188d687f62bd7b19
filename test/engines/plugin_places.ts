/** What the tests of plugins share: bytes, sums, folders and environment variables that are put back. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** Runs a test with a folder that is gone afterwards. */
export async function inFolder(fn: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "albert-plugins-"));
  try {
    await fn(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lets a test use other environment variables. */
export async function withEnvironment(
  values: Readonly<Record<string, string>>,
  fn: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    await fn();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
