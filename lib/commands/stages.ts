/**
 * Stages that are not done twice: each leaves a stamp of what went in and what came out. A stage is valid while its
 * options, its input files, the library's sources and its output files are what they were.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../formats/mod.ts";
import { ownFile } from "../own_file.ts";

type Stamp = {
  readonly key: string;
  readonly outputs: { readonly [path: string]: { readonly bytes: number; readonly sha256: string } };
  readonly made: unknown;
};

/** What one stage needs and gives. */
export type StageOptions<Made> = {
  /** Everything that decides the result besides files: flags, seeds. */
  readonly options: unknown;
  /** Files it reads. */
  readonly inputs: readonly string[];
  /** Files it writes. */
  readonly outputs: readonly string[];
  /**
   * Does the work; what it returns is kept in the stamp, so it must be plain data. `goesOn` tells that the same work was
   * begun before and interrupted, so that what it left may be continued.
   */
  readonly run: (start: { readonly goesOn: boolean }) => Promise<Made>;
};

/** What a stage gave, and whether it was made now. */
export type StageResult<Made> = { readonly made: Made; readonly reused: boolean; readonly seconds: number };

/** Runs stages of one folder. */
export type Stages = <Made>(name: string, options: StageOptions<Made>) => Promise<StageResult<Made>>;

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

/**
 * One hash over every source file of the library: a changed line makes all stages again.
 *
 * @param folder Of the rooms; default this library, be it sources or the compiled package.
 */
export function sourceHash(folder: string = fileURLToPath(new URL("..", ownFile("stages")))): string {
  const hash = createHash("sha256");
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => a.name < b.name ? -1 : 1)) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) visit(child);
      else if (/\.[jt]s$/.test(entry.name)) hash.update(entry.name).update(readFileSync(child));
    }
  };
  for (
    const room of ["text", "tokenizer", "tasks", "records", "tensor", "engines", "model", "train", "config"]
  ) {
    visit(join(folder, room));
  }
  return hash.digest("hex");
}

function readStamp(path: string): Stamp | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Stamp;
  } catch {
    return undefined; // missing or cut: the stage is made again
  }
}

function intact({ outputs }: Stamp): boolean {
  return Object.entries(outputs).every(([path, { bytes, sha256: expected }]) =>
    existsSync(path) && statSync(path).size === bytes && sha256(path) === expected
  );
}

/**
 * Opens the stages of a work folder.
 *
 * @param folder Where stamps are kept; outputs may lie anywhere.
 * @param options `sources`: hash of the library, `fresh`: make everything again.
 */
export function openStages(
  folder: string,
  { sources, fresh = false }: { readonly sources: string; readonly fresh?: boolean },
): Stages {
  return async (name, { options, inputs, outputs, run }) => {
    const start = Date.now();
    const path = join(folder, "stages", `${name}.json`);
    const key = createHash("sha256")
      .update(
        JSON.stringify([name, sources, options, inputs.map((input) => [input, sha256(input)]), outputs]),
      )
      .digest("hex");
    const stamp = fresh ? undefined : readStamp(path);
    if (stamp !== undefined && stamp.key === key && intact(stamp)) {
      return {
        made: stamp.made as Awaited<ReturnType<typeof run>>,
        reused: true,
        seconds: (Date.now() - start) / 1000,
      };
    }
    const begun = `${path}.begun`;
    const goesOn = !fresh && existsSync(begun) && readFileSync(begun, "utf8") === key;
    rmSync(path, { force: true });
    writeFileAtomic(begun, key);
    const made = await run({ goesOn });
    const stamped = Object.fromEntries(
      outputs.map((output) => [output, { bytes: statSync(output).size, sha256: sha256(output) }]),
    );
    writeFileAtomic(path, `${JSON.stringify({ key, outputs: stamped, made }, undefined, 1)}\n`);
    rmSync(begun, { force: true });
    return { made, reused: false, seconds: (Date.now() - start) / 1000 };
  };
}
