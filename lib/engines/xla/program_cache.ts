/**
 * Compiled programs on disk. They are machine code: the key holds the text, the plugin's sha256, the processor with its
 * features and the number of threads. A file is its own checksum and the program; a damaged one is compiled again. The
 * oldest go when the folder grows over its bound; several processes may use one folder.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { pid } from "node:process";

/** A folder of compiled programs; all methods give up silently, as a cache may. */
export type ProgramCache = {
  readonly get: (key: string) => Uint8Array | undefined;
  readonly put: (key: string, program: Uint8Array) => void;
  readonly drop: (key: string) => void;
};

const suffix = ".xla-program";
const checksumBytes = 32;

const sha256 = (...parts: readonly (string | Uint8Array)[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What of this processor decides which machine code it runs. */
export function processorKey(): string {
  try {
    const info = readFileSync("/proc/cpuinfo", "utf8");
    const line = (name: RegExp): string => name.exec(info)?.[0] ?? "";
    return `${line(/^model name.*$/m)}|${line(/^(flags|Features).*$/m)}`;
  } catch {
    return cpus()[0]?.model ?? "unknown";
  }
}

/** The key of a program. */
export function programKey(parts: readonly (string | Uint8Array)[]): string {
  return createHash("sha256").update(
    parts.map((part) => `${typeof part === "string" ? part.length : part.byteLength}`).join(","),
  ).update(Uint8Array.from(sha256(...parts))).digest("hex");
}

/** Milliseconds after which a file in progress is one that its process left behind. */
const abandoned = 3.6e6;

/** Removes what killed processes left half written. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => each.includes(`${suffix}.tmp-`))) {
    try {
      const path = join(folder, name);
      if (Date.now() - statSync(path).mtimeMs > abandoned) rmSync(path, { force: true });
    } catch {
      // Another process was faster.
    }
  }
}

function evict(folder: string, bound: number): void {
  const files = readdirSync(folder).filter((name) => name.endsWith(suffix)).flatMap((name) => {
    try {
      const { size, mtimeMs } = statSync(join(folder, name));
      return [{ name, size, mtimeMs }];
    } catch {
      return []; // Another process was faster.
    }
  }).sort((a, b) => a.mtimeMs - b.mtimeMs);
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { name, size } of files) {
    if (total <= bound) break;
    rmSync(join(folder, name), { force: true });
    total -= size;
  }
}

/**
 * Opens a folder of compiled programs.
 *
 * @param folder Is made at the first program.
 * @param bound Bytes that all programs may take.
 */
export function openProgramCache(folder: string, bound: number): ProgramCache {
  const pathOf = (key: string): string => join(folder, `${key}${suffix}`);
  const quietly = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch {
      return undefined;
    }
  };
  return {
    get: (key) =>
      quietly(() => {
        const file = readFileSync(pathOf(key));
        const program = file.subarray(checksumBytes);
        if (!file.subarray(0, checksumBytes).equals(sha256(program))) {
          rmSync(pathOf(key), { force: true });
          return undefined;
        }
        utimesSync(pathOf(key), new Date(), new Date());
        return program;
      }),
    put: (key, program) =>
      quietly(() => {
        if (program.length + checksumBytes > bound) return;
        mkdirSync(folder, { recursive: true });
        const temporary = `${pathOf(key)}.tmp-${pid}-${randomUUID()}`; // containers share process numbers
        const file = new Uint8Array(checksumBytes + program.length);
        file.set(sha256(program));
        file.set(program, checksumBytes);
        try {
          writeFileSync(temporary, file);
          renameSync(temporary, pathOf(key));
        } finally {
          rmSync(temporary, { force: true });
        }
        sweep(folder);
        evict(folder, bound);
      }),
    drop: (key) => void quietly(() => rmSync(pathOf(key), { force: true })),
  };
}
