/**
 * The command that runs notebooks: both kernels side by side, one lane each until one of them has nothing left to do, and
 * a verdict per notebook and kernel.
 * `--update` stores outputs when both kernels showed the same, byte for byte. Run:
 * `deno run -A lib/notebook/run.ts --only=00`.
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { readFileSync } from "node:fs";
import { buildPackage, describeBuild } from "./build.ts";
import { firstDifference } from "./compare.ts";
import { findNotebooks } from "./find.ts";
import { parseNotebook } from "./format.ts";
import { projectRoot } from "./paths.ts";
import type { KernelName } from "./process.ts";
import { describeResult, type NotebookResult, runNotebook } from "./run_notebook.ts";

const help = `Runs notebooks headless and compares their outputs with the committed ones.

usage: deno run -A lib/notebook/run.ts [options] [notebooks or folders]

  --kernel=deno|tslab  one kernel only (default: both, side by side)
  --only=00,03         notebooks whose name begins so (default: all)
  --update             store the outputs, if both kernels show the same
  --no-compare         run only; do not look at the committed outputs
  --no-build           do not build node_modules/albert-guide for tslab first
  --jobs=1             notebooks at a time in each kernel's lane
  --help               this text

Without paths: notebooks/*.ipynb. Exit code 0: all passed; 1: something failed; 2: wrong usage.`;

const allKernels: readonly KernelName[] = ["deno", "tslab"];

/** What the command line asks for. */
export type RunRequest = {
  readonly paths: readonly string[];
  readonly kernels: readonly KernelName[];
  readonly update: boolean;
  readonly compare: boolean;
  readonly build: boolean;
  readonly jobs: number;
};

/**
 * Reads the command line.
 *
 * @param args Arguments without the program.
 * @param root Project whose `notebooks` are the default. Default: this project.
 * @returns The request, or `"help"`.
 * @throws {RangeError} When something is unknown or missing: the text is for the user.
 */
export function parseRequest(args: readonly string[], root: string = projectRoot): RunRequest | "help" {
  const { values, positionals } = readArguments(args);
  if (values.help) return "help";
  const kernel = values.kernel;
  if (kernel !== undefined && kernel !== "deno" && kernel !== "tslab") {
    throw new RangeError(`Cannot run under --kernel=${kernel}: expected deno or tslab`);
  }
  if (values.update && (kernel !== undefined || values["no-compare"])) {
    throw new RangeError(
      "Cannot use --update with --kernel or --no-compare: it needs what both kernels show",
    );
  }
  const jobs = Number(values.jobs ?? 1);
  if (!Number.isInteger(jobs) || jobs < 1) {
    throw new RangeError(`Cannot use --jobs=${values.jobs}: expected 1 or more`);
  }
  const found = findNotebooks(positionals.length > 0 ? positionals : [join(root, "notebooks")]);
  const only = values.only?.split(",").map((each) => each.trim()).filter((each) => each !== "");
  const paths = only ? found.filter((path) => only.some((start) => basename(path).startsWith(start))) : found;
  if (paths.length === 0) {
    throw new RangeError(
      `Cannot find notebooks${only ? ` that begin with ${only.join(" or ")}` : ""}: there are none`,
    );
  }
  return {
    paths,
    kernels: kernel === undefined ? allKernels : [kernel],
    update: values.update ?? false,
    compare: !(values["no-compare"] ?? false) && !(values.update ?? false),
    build: !(values["no-build"] ?? false),
    jobs,
  };
}

type Arguments = {
  readonly values: {
    readonly kernel?: string;
    readonly only?: string;
    readonly jobs?: string;
    readonly update?: boolean;
    readonly "no-compare"?: boolean;
    readonly "no-build"?: boolean;
    readonly help?: boolean;
  };
  readonly positionals: readonly string[];
};

function readArguments(args: readonly string[]): Arguments {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        kernel: { type: "string" },
        only: { type: "string" },
        jobs: { type: "string" },
        update: { type: "boolean" },
        "no-compare": { type: "boolean" },
        "no-build": { type: "boolean" },
        help: { type: "boolean" },
      },
    }) as Arguments;
  } catch (cause) {
    throw new RangeError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Where the command writes: whole lines, and a state that the next line replaces. */
export type RunReport = {
  readonly line: (text: string) => void;
  readonly state: (lanes: ReadonlyMap<string, string>) => void;
};

/** Numbers of the last line. */
export type RunSummary = { readonly passed: number; readonly failed: number };

/**
 * Runs the notebooks of a request.
 *
 * @param request What to run.
 * @param report Where to tell about it.
 * @returns How many runs passed and failed; a disagreement of the kernels is one more failure.
 */
export async function runRequest(request: RunRequest, report: RunReport): Promise<RunSummary> {
  let failed = 0;
  if (request.build && request.kernels.includes("tslab")) {
    const built = await buildPackage();
    report.line(describeBuild(built));
    if (built.problems.length > 0) {
      report.line("FAILED  the package for tslab has errors: its results below may be wrong");
      failed += 1;
    }
  }
  const work = request.paths.map((path) => ({ path, kernels: kernelsOf(path) }));
  const total = request.kernels.reduce(
    (sum, kernel) => sum + work.filter((each) => each.kernels.includes(kernel)).length,
    0,
  );
  const results: NotebookResult[] = [];
  const states = new Map<string, string>();

  const queues = new Map(request.kernels.map((kernel) => {
    return [kernel, work.filter(({ kernels }) => kernels.includes(kernel)).map(({ path }) => path)] as const;
  }));
  const worker = async (own: KernelName): Promise<void> => {
    for (let run = nextRun(queues, own); run !== undefined; run = nextRun(queues, own)) {
      const { kernel, path } = run;
      const name = `${kernel} ${basename(path)}`;
      const onCell = (done: number, cells: number): void => {
        states.set(name, `cell ${Math.min(done + 1, cells)}/${cells}`);
        report.state(states);
      };
      const result = await runNotebook(path, { kernel, compare: request.compare, onCell });
      states.delete(name);
      results.push(result);
      report.line(
        `[${String(results.length).padStart(String(total).length)}/${total}] ${describeResult(result)}`,
      );
    }
  };
  await Promise.all(
    request.kernels.flatMap((kernel) => Array.from({ length: request.jobs }, () => worker(kernel))),
  );

  const passed = results.filter(({ ok }) => ok).length;
  failed += results.length - passed;
  for (const { path } of work) {
    const own = results.filter((result) => result.path === path && result.mustFail === undefined);
    if (own.length === 0 || own.some(({ ok }) => !ok)) continue;
    failed += settle(path, own, request.update, report);
  }
  return { passed, failed };
}

/** Takes the next run of a lane: of its own kernel first, then of the one that still has most to do. */
export function nextRun(
  queues: ReadonlyMap<KernelName, string[]>,
  own: KernelName,
): { readonly kernel: KernelName; readonly path: string } | undefined {
  const others = [...queues.keys()].filter((kernel) => kernel !== own)
    .sort((a, b) => (queues.get(b)?.length ?? 0) - (queues.get(a)?.length ?? 0));
  for (const kernel of [own, ...others]) {
    const path = queues.get(kernel)?.shift();
    if (path !== undefined) return { kernel, path };
  }
  return undefined;
}

/** Compares what the kernels showed and stores it when that is asked for; returns the number of failures. */
function settle(
  path: string,
  results: readonly NotebookResult[],
  update: boolean,
  report: RunReport,
): number {
  const [first, ...others] = results;
  if (first === undefined) return 0;
  const other = others.find(({ text }) => text !== first.text);
  if (other !== undefined) {
    const difference = firstDifference(first.text.split("\n"), other.text.split("\n"));
    report.line(
      `FAILED  ${basename(path)}: ${first.kernel} (-) and ${other.kernel} (+) show different outputs`,
    );
    for (const line of difference?.lines ?? []) report.line(`      ${line}`);
    return 1;
  }
  if (!update) return 0;
  if (readFileSync(path, "utf8") === first.text) {
    report.line(`kept    ${basename(path)}: unchanged`);
  } else {
    writeFileSync(path, first.text);
    report.line(`wrote   ${basename(path)}`);
  }
  return 0;
}

/** Kernels that a notebook wants; a file that cannot be read is left to the run, which says why. */
function kernelsOf(path: string): readonly string[] {
  try {
    return parseNotebook(readFileSync(path, "utf8")).guide.kernels ?? allKernels;
  } catch {
    return allKernels;
  }
}

/** A report to the terminal: the state of the lanes stays on the last line, or comes every 30 s in a log. */
function terminalReport(): RunReport & { readonly end: () => void } {
  const terminal = Deno.stderr.isTerminal();
  const write = (to: typeof Deno.stdout | typeof Deno.stderr, text: string): void => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  };
  let lanes: ReadonlyMap<string, string> = new Map();
  const now = (): string => [...lanes].map(([name, state]) => `${name} ${state}`).join(" | ");
  const beat = terminal
    ? undefined
    : setInterval(() => lanes.size > 0 && write(Deno.stdout, `...  ${now()}\n`), 30_000);
  return {
    line: (text) => {
      if (terminal) write(Deno.stderr, "\r\x1b[K");
      write(Deno.stdout, `${text}\n`);
    },
    state: (states) => {
      lanes = states;
      if (terminal) write(Deno.stderr, `\r\x1b[K${now().slice(0, (Deno.consoleSize().columns || 80) - 1)}`);
    },
    end: () => {
      clearInterval(beat);
      if (terminal) write(Deno.stderr, "\r\x1b[K");
    },
  };
}

/** The whole command; returns the exit code. */
export async function runMain(args: readonly string[]): Promise<number> {
  const report = terminalReport();
  try {
    const request = parseRequest(args);
    if (request === "help") {
      report.line(help);
      return 0;
    }
    const { passed, failed } = await runRequest(request, report);
    report.line(`${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } catch (error) {
    report.line(error instanceof Error ? error.message : String(error));
    return error instanceof RangeError ? 2 : 1;
  } finally {
    report.end();
  }
}

if (import.meta.main) Deno.exit(await runMain(Deno.args));
