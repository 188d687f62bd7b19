/** What the tests of plugins share: bytes, sums and environment variables that are put back. */
import { createHash } from "node:crypto";
import process from "node:process";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

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
