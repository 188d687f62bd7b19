/**
 * The folder of a run's unfinished work, `<first output>.parts`: whose it is stands in its plan.json, which one process of
 * all makes. Attempts at the same task share the folder, since all write the same bytes under names of their own first;
 * another task is refused. Nothing depends on clocks.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../formats/mod.ts";

const PLAN = "plan.json";
const PATIENCE = 20; // times 50 ms for another process to write its plan

/** How a run's work is cut into parts. */
export type PartCut = { readonly part_blocks: number; readonly pass_parts: number };

type Plan = PartCut & { readonly run_sha256: string };

/**
 * Makes or takes up the folder of parts.
 *
 * @returns How its work is cut: by whoever made the folder, else as `cut` says.
 * @throws {Error} When the unfinished work of another run lies there and `overwrite` is not given.
 */
export async function openParts(
  folder: string,
  { run_sha256, overwrite, cut }: {
    readonly run_sha256: string;
    readonly overwrite: boolean;
    readonly cut: PartCut;
  },
): Promise<PartCut> {
  const plan = JSON.stringify({ run_sha256, ...cut });
  if (makePlan(folder, plan)) return cut;
  const found = await readPlan(folder);
  if (found?.run_sha256 === run_sha256) return found;
  if (found !== undefined && !overwrite) throw othersWork(folder);
  rmSync(folder, { recursive: true, force: true });
  if (makePlan(folder, plan)) return cut;
  const made = await readPlan(folder); // another process was faster
  if (made?.run_sha256 === run_sha256) return made;
  throw othersWork(folder);
}

/** Whether the folder still is what `openParts` found: another attempt that has finished takes it away. */
export function isStillThere(
  folder: string,
  run_sha256: string,
  { part_blocks, pass_parts }: PartCut,
): boolean {
  try {
    const found = JSON.parse(readFileSync(join(folder, PLAN), "utf8")) as Plan;
    return found.run_sha256 === run_sha256 && found.part_blocks === part_blocks &&
      found.pass_parts === pass_parts;
  } catch {
    return false;
  }
}

/**
 * Removes a folder of parts. Several attempts at the same task may do so at once, and one may still write into it: then the
 * removal of each stops at what another one has removed, and is tried again.
 */
export function dropParts(folder: string): void {
  for (let tries = 0; tries < 20 && existsSync(folder); tries++) {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Of what is left the attempt that writes it disposes at its own end.
    }
  }
}

const othersWork = (folder: string): Error =>
  new Error(
    `Cannot create records: ${folder} holds the unfinished work of another run (other flags, inputs or tokenizer); ` +
      "finish that run with its command, or remove the folder or give --overwrite to drop its work",
  );

/** Whether this process made the plan; what lay in the folder without a plan is gone then. */
function makePlan(folder: string, plan: string): boolean {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, PLAN);
  if (existsSync(path)) return false;
  try {
    writeFileSync(path, plan, { flag: "wx" });
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    rmSync(path, { force: true });
    writeFileAtomic(path, plan); // words what is wrong
    return true;
  }
  for (const name of readdirSync(folder)) {
    if (name !== PLAN) rmSync(join(folder, name), { force: true });
  }
  return true;
}

/** The plan of whoever made the folder; undefined when a killed process left half of it. */
async function readPlan(folder: string): Promise<Plan | undefined> {
  const path = join(folder, PLAN);
  for (let tries = 0; tries < PATIENCE; tries++) {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Plan;
    } catch {
      if (!existsSync(path)) return undefined;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  return undefined;
}
