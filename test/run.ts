// Runs the project's checks and closes with one plain line, `N passed, N failed[, N skipped]`; above it stand a line
// for each stage and the name of each failed test once more.
//
//   deno task ok                      format, lint, types, documentation examples, unit tests
//   deno task test                    all of that, the package build, every notebook under both kernels, the guide
//   deno task test --only=docs,unit   only these stages
//
// A stage (stages.ts) is a child process. A stage that is itself a test runner adds its own counts; any other counts
// as one. Stages that keep one core busy run side by side, so every line of output names its stage.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Stage, stages } from "./stages.ts";

/** What became of tests. */
export type Count = { readonly passed: number; readonly failed: number; readonly skipped: number };
type Outcome = {
  readonly stage: Stage;
  readonly count: Count;
  readonly lost: readonly string[];
  seconds: number;
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Counts from what a runner printed last, or undefined when it printed no count. */
export function countsIn(output: string): Count | undefined {
  const deno = [
    ...output.matchAll(/(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/g),
  ].at(-1);
  const plain = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  const found = deno ?? plain;
  if (found === undefined) return undefined;
  return { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) };
}

/** What a stage adds to the sum: a failed run without a failed test is still a failure. */
export function judgeStage({ counts }: Pick<Stage, "counts">, code: number, output: string): Count {
  const found = counts ? countsIn(output) : undefined;
  if (found === undefined) {
    return { passed: code === 0 && !counts ? 1 : 0, failed: code === 0 && !counts ? 0 : 1, skipped: 0 };
  }
  return code !== 0 && found.failed === 0 ? { ...found, failed: 1 } : found;
}

/** The names of what failed, as deno's test runner lists them at its end and the notebooks' runner in its lines. */
export function failuresIn(output: string): string[] {
  const lists = [...output.matchAll(/^ FAILURES $([^]*?)^FAILED \|/gm)].flatMap(([, list = ""]) =>
    list.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  );
  const lines = [...output.matchAll(/^FAILED {2}(?!\|)(.*)$/gm)].map(([, line = ""]) => line.trim());
  return [...lists, ...lines.map((line) => line.replace(/ {2,}/g, "  "))];
}

/**
 * Reads the command line.
 *
 * @throws {RangeError} When a flag or a stage is unknown: the text is for the user.
 */
export function chooseStages(args: readonly string[]): readonly Stage[] {
  const known = `known: --quick, --only=${stages.map(({ name }) => name).join(",")}`;
  let values: { readonly quick?: boolean; readonly only?: string };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: { quick: { type: "boolean" }, only: { type: "string" } },
    }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`Cannot run the tests: ${reason}; ${known}`, { cause });
  }
  const { quick = false, only } = values;
  const chosen = only?.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const strange = chosen?.filter((name) => stages.every((stage) => stage.name !== name)) ?? [];
  if (strange.length > 0 || chosen?.length === 0) {
    throw new RangeError(`Cannot run the stages "${strange.join('", "')}": there are none; ${known}`);
  }
  return stages.filter((stage) => (stage.quick || !quick) && (chosen?.includes(stage.name) ?? true));
}

/**
 * The first of the waiting stages that may start beside those that run; `cores` is how many there are. A stage may
 * overtake one that needs more cores, but none that is quick.
 */
export function nextStage(
  waiting: readonly Stage[],
  running: readonly Stage[],
  cores: number,
): Stage | undefined {
  const all = Math.max(2, cores);
  const needs = (stage: Stage): number => stage.cores === "all" ? all : stage.cores;
  const free = all - running.reduce((sum, stage) => sum + needs(stage), 0);
  const unfinished = [...waiting, ...running].map(({ name }) => name);
  const quick = waiting.filter((stage) => stage.quick);
  return (quick.length > 0 ? quick : waiting).find((stage) =>
    needs(stage) <= free && !stage.after?.some((name) => unfinished.includes(name))
  );
}

/** Sees to the plugin of XLA, as far as allowed, and says in one line what came of it. */
async function preparePlugin({ fetch }: { readonly fetch: boolean }): Promise<boolean> {
  try {
    const { ensurePlugin, findPlugin } = await import("../lib/engines/mod.ts");
    const known = findPlugin();
    if (known !== undefined || !fetch) {
      say(
        known === undefined
          ? "no XLA plugin is installed: its tests are left out"
          : `XLA's plugin is ${known}`,
      );
      return known !== undefined;
    }
    const { path, note } = await ensurePlugin();
    say(path === undefined ? `${note}; its tests are left out` : note);
    return path !== undefined;
  } catch (error) {
    say(`XLA is left out: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

/** Runs a stage; what it leaves in the folder for temporary files is removed with that folder. */
async function runStage(stage: Stage, temporary: string): Promise<Outcome> {
  const { name, args, env = {} } = stage;
  const start = Date.now();
  const head = name.padEnd(Math.max(...stages.map(({ name }) => name.length)));
  say(`${head} == deno ${args.join(" ")}`);
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(Deno.execPath(), [...args], {
    env: { ...process.env, ...env, NO_COLOR: "1", TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    let begun = "";
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const lines = `${begun}${text}`.split("\n");
      begun = lines.pop() ?? "";
      for (const line of lines) say(`${head} | ${line}`);
    }).on("end", () => begun !== "" && say(`${head} | ${begun}`));
  }
  child.on("close", (code) => resolve(code ?? 1));
  const code = await promise;
  const count = judgeStage(stage, code, output);
  const seconds = (Date.now() - start) / 1000;
  const named = failuresIn(output);
  const [word = "nothing was printed"] = output.split("\n").filter((line) => line.trim() !== "");
  const lost = count.failed === 0 ? [] : named.length > 0 ? named : [`ended with code ${code}: ${word}`];
  say(`${head} == ${count.passed} passed, ${count.failed} failed, ${seconds.toFixed(0)} s`);
  return { stage, count, lost, seconds };
}

/** Runs stages, as many at a time as there are cores for. */
async function runStages(chosen: readonly Stage[], temporary: string): Promise<Outcome[]> {
  const waiting = [...chosen];
  const running = new Map<Stage, Promise<void>>();
  const outcomes: Outcome[] = [];
  while (waiting.length > 0 || running.size > 0) {
    const next = nextStage(waiting, [...running.keys()], navigator.hardwareConcurrency);
    if (next === undefined) {
      await Promise.race(running.values());
      continue;
    }
    waiting.splice(waiting.indexOf(next), 1);
    const done = (outcome: Outcome): void => {
      outcomes.push(outcome);
      running.delete(next);
    };
    running.set(next, runStage(next, temporary).then(done));
  }
  return outcomes.sort((a, b) => chosen.indexOf(a.stage) - chosen.indexOf(b.stage));
}

async function main(args: readonly string[]): Promise<number> {
  const start = Date.now();
  const chosen = chooseStages(args);
  // Tests never fetch anything themselves.
  const xla = await preparePlugin({ fetch: chosen.some(({ quick }) => !quick) });
  const temporary = mkdtempSync(join(tmpdir(), "albert-tests-"));
  const outcomes = await runStages(chosen.filter((stage) => xla || stage.xla !== true), temporary);
  rmSync(temporary, { recursive: true, force: true });
  say("");
  for (const { stage, count, seconds } of outcomes) {
    const mark = count.failed === 0 ? "ok    " : "FAILED";
    say(
      `${mark} ${stage.name.padEnd(9)} ${count.passed} passed, ${count.failed} failed, ${
        seconds.toFixed(0)
      } s`,
    );
  }
  for (const { stage, lost } of outcomes) {
    for (const name of lost) say(`FAILED ${stage.name.padEnd(9)} ${name}`);
  }
  const total = (key: keyof Count): number => outcomes.reduce((sum, { count }) => sum + count[key], 0);
  const skipped = total("skipped");
  say(`${((Date.now() - start) / 1000).toFixed(0)} s in all\n`);
  say(`${total("passed")} passed, ${total("failed")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return total("failed") === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
