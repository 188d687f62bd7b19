/**
 * Where a raw run with shards stands, beside its shards: after each one the counts so far and the number of documents
 * read. The same command again goes on from there; another one is refused, so that shards of two runs never mix.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { writeFileAtomic } from "../formats/mod.ts";
import { STDIN } from "./lines.ts";
import type { RawTotals } from "./raw_run.ts";
import { existingShards, type RawPart, removeStale, shardName } from "./raw_parts.ts";

/** What is kept after each shard. */
export type RawState = {
  /** Documents read until the last shard ended. */
  readonly documents: number;
  readonly totals: RawTotals;
  readonly train: readonly RawPart[];
  readonly heldOut: readonly RawPart[];
};

/** The state file of a run. */
export type RawStateFile = {
  /** Where an earlier run stopped, if there was one. */
  readonly before: RawState | undefined;
  readonly save: (state: RawState) => void;
  readonly remove: () => void;
};

/** What has to be the same for a run to go on: options, and name, size and time of each input. */
export function runKey(files: readonly string[], options: unknown): string {
  const inputs = files.map((file) => {
    if (file === STDIN) return [STDIN, onlyOnce()];
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  const plain = (_: string, value: unknown): unknown =>
    value instanceof Set || value instanceof Map ? [...value] : value;
  return createHash("sha256").update(JSON.stringify([inputs, options], plain)).digest("hex");
}

/** Standard input cannot be read again: no other run has this key. */
function onlyOnce(): string {
  return `${Date.now()}-${Math.random()}`;
}

/**
 * Opens the state of a run with shards.
 *
 * @throws {RangeError} When shards or a state of another run lie there, and `overwrite` is not given.
 */
export function openState(
  { output, heldOutOutput, key, overwrite }: {
    readonly output: string;
    readonly heldOutOutput?: string | undefined;
    readonly key: string;
    readonly overwrite: boolean;
  },
): RawStateFile {
  const path = `${output}.unfinished.json`;
  const sides = [output, ...(heldOutOutput === undefined ? [] : [heldOutOutput])];
  for (const side of sides) removeStale(side);
  const file = {
    save: (state: RawState): void => writeFileAtomic(path, `${JSON.stringify({ key, ...state })}\n`),
    remove: (): void => rmSync(path, { force: true }),
  };
  const found = existsSync(path) ? readState(path) : undefined;
  if (found !== undefined && found.key === key && !overwrite) {
    checkShards(path, [...found.train, ...found.heldOut]);
    return { ...file, before: found };
  }
  const lying = sides.flatMap(existingShards);
  if (!overwrite && (found !== undefined || lying.length > 0)) {
    throw new RangeError(
      found === undefined
        ? `Cannot write ${shardName(output)}: ${lying.length} shards lie there, the first is ${
          lying[0]
        }; choose another name, or replace them (--overwrite)`
        : `Cannot go on with ${
          shardName(output)
        }: ${path} belongs to a run with other inputs or options; give those again, or start anew (--overwrite)`,
    );
  }
  for (const shard of lying) rmSync(shard);
  file.remove();
  return { ...file, before: undefined };
}

function readState(path: string): RawState & { readonly key: string } {
  try {
    const state = JSON.parse(readFileSync(path, "utf8")) as RawState & { readonly key: string };
    if (typeof state.key === "string" && Array.isArray(state.train)) return state;
  } catch {
    // Said below, together with what else it may be.
  }
  throw new RangeError(`Cannot go on with a raw run: ${path} is not its state; remove it and start anew`);
}

function checkShards(path: string, shards: readonly RawPart[]): void {
  for (const shard of shards) {
    const size = statSync(shard.path, { throwIfNoEntry: false })?.size;
    if (size === shard.bytes) continue;
    throw new RangeError(
      `Cannot go on with a raw run: ${path} says that ${shard.path} has ${shard.bytes} bytes, ${
        size === undefined ? "it is not there" : `it has ${size}`
      }; put it back, or start anew (--overwrite)`,
    );
  }
}
