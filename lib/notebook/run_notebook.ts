/**
 * One notebook under one kernel: run its cells in order, stop at the first that fails, compare what came with what is
 * committed. Prints nothing and writes nothing; `run.ts` is the command around it.
 */
import { readFileSync } from "node:fs";
import { basename, dirname, resolve, sep } from "node:path";
import { compareOutputs, firstDifference } from "./compare.ts";
import { type Cell, type Notebook, parseNotebook, serializeNotebook } from "./format.ts";
import { type Execution, type Kernel, startKernel, whyFailed } from "./kernel.ts";
import { createOutputCollector, type HiddenPath } from "./outputs.ts";
import { projectRoot } from "./paths.ts";
import type { KernelName } from "./process.ts";

/** Largest notebook that may be committed, in bytes. */
export const largestNotebook = 100_000;

/** Something that is wrong with a notebook. */
export type Problem = {
  /** Number of the cell in the file, from 1; absent when the problem is not in a cell. */
  readonly cell?: number;
  /** One line. */
  readonly text: string;
  /** More lines for a person: a difference, the last words of a kernel. */
  readonly details: readonly string[];
};

/** What came of one notebook under one kernel. */
export type NotebookResult = {
  readonly path: string;
  readonly kernel: KernelName;
  /** True when there is no problem; for a notebook with `must_fail`, when one contains that text. */
  readonly ok: boolean;
  /** Everything wrong, in the order it was found; a notebook that must fail has some although it is ok. */
  readonly problems: readonly Problem[];
  /** Code cells that ran, the failed one included. */
  readonly executed: number;
  /** Code cells in the file. */
  readonly codeCells: number;
  /** Wall time, start of the kernel included. */
  readonly seconds: number;
  /** The notebook in canonical form with the outputs of this run; of use only when all cells ran. */
  readonly text: string;
  /** Text that the notebook must fail with, when it is one that must. */
  readonly mustFail?: string;
};

/** Settings of `runNotebook`. */
export type RunOptions = {
  readonly kernel: KernelName;
  /** Seconds one cell may take. Default: the notebook's `timeout_s`, else 60. */
  readonly timeoutSeconds?: number;
  /** Compares outputs and form with the file. Default: true. */
  readonly compare?: boolean;
  /** Environment variables on top of the runner's own. Default: none. */
  readonly env?: { readonly [name: string]: string };
  /** Called before each code cell with its place among them, from 0, and their number. */
  readonly onCell?: (done: number, total: number) => void;
};

/**
 * Runs a notebook under a kernel of its own and judges it.
 *
 * @param path The `.ipynb` file; its folder is the working folder of the cells.
 * @param options See {@link RunOptions}.
 * @returns What happened; problems of the notebook do not throw.
 * @throws {Error} When the file cannot be read.
 */
export async function runNotebook(path: string, options: RunOptions): Promise<NotebookResult> {
  const started = performance.now();
  const committed = readFileSync(path, "utf8");
  const problems: Problem[] = [];
  let run: CellsRun = { executed: 0, complete: false, cells: [] };
  let notebook: Notebook = { cells: [], guide: {} };
  try {
    notebook = parseNotebook(committed);
    run = await runCells(path, notebook, options, problems);
  } catch (error) {
    problems.push({ text: error instanceof Error ? error.message : String(error), details: [] });
  }
  const now: Notebook = { ...notebook, cells: run.complete ? run.cells : notebook.cells };
  const text = serializeNotebook(now);
  if (run.complete) {
    if (options.compare ?? true) problems.push(...compareNotebooks(notebook, now, committed));
    const size = new TextEncoder().encode(text).length;
    if (size > largestNotebook) {
      problems.push({
        text: `the notebook has ${size} bytes, allowed are ${largestNotebook}`,
        details: largest(now),
      });
    }
  }
  const mustFail = notebook.guide.must_fail;
  const ok = mustFail === undefined
    ? problems.length === 0
    : problems.some(({ text }) => text.includes(mustFail));
  return {
    path,
    kernel: options.kernel,
    ok,
    problems,
    executed: run.executed,
    codeCells: notebook.cells.filter(isRunnable).length,
    seconds: (performance.now() - started) / 1000,
    text,
    ...(mustFail === undefined ? {} : { mustFail }),
  };
}

type CellsRun = { readonly executed: number; readonly complete: boolean; readonly cells: readonly Cell[] };

/** Runs the cells under a fresh kernel, which is gone when this returns. */
async function runCells(
  path: string,
  { cells, guide }: Notebook,
  { kernel: name, timeoutSeconds = guide.timeout_s ?? 60, env = {}, onCell }: RunOptions,
  problems: Problem[],
): Promise<CellsRun> {
  const total = cells.filter(isRunnable).length;
  onCell?.(0, total);
  const kernel = await startKernel(name, { cwd: dirname(resolve(path)), env });
  const collector = createOutputCollector(hiddenPaths(kernel));
  let executed = 0;
  let last = 0;
  try {
    for (const [index, cell] of cells.entries()) {
      if (!isRunnable(cell)) continue;
      onCell?.(executed, total);
      executed += 1;
      last = index;
      const execution = await kernel.execute(cell.source, { timeoutSeconds });
      collector.add(index, execution.messages);
      const problem = judge(cell, index, execution, kernel);
      if (problem !== undefined) {
        problems.push(problem);
        return { executed, complete: false, cells };
      }
      // tslab aborts everything it gets within 200 ms of an error.
      if (execution.status === "error" && name === "tslab") await pause(300);
    }
    const late = await lateMessages(kernel);
    const why = whyFailed({ type: "execute_reply", parent: "", content: { status: "ok" } }, late);
    if (why !== "") {
      problems.push({ cell: last + 1, text: `${why} (after the last cell)`, details: [] });
      return { executed, complete: false, cells };
    }
    collector.add(last, late);
  } finally {
    await kernel.kill();
  }
  return {
    executed,
    complete: true,
    cells: cells.map((cell, index) => withOutputs(cell, collector.outputs(index))),
  };
}

/** What timers and rejections still say shortly after the last cell. */
async function lateMessages(kernel: Kernel): Promise<Execution["messages"]> {
  await pause(100);
  return kernel.late();
}

/** A cell that is empty or blank is not sent: kernels treat it each in their own way. */
function isRunnable(cell: Cell): boolean {
  return cell.type === "code" && cell.source.trim() !== "";
}

function judge(cell: Cell, index: number, execution: Execution, kernel: Kernel): Problem | undefined {
  const at = { cell: index + 1 };
  if (execution.status === "lost") {
    return { ...at, text: execution.why, details: lastLines(kernel.lastWords()) };
  }
  if (execution.status === "timeout") return { ...at, text: execution.why, details: [] };
  const expected = cell.tags.includes("raises-exception");
  if (execution.status === "error" && !expected) {
    return {
      ...at,
      text: execution.why,
      details: execution.why.startsWith("Error: Execution failed") ? [hint] : [],
    };
  }
  if (execution.status === "ok" && expected) {
    return {
      ...at,
      text: 'the cell worked, but its tag "raises-exception" says that it must fail',
      details: [],
    };
  }
  return undefined;
}

const hint = "the Deno kernel says no more; a syntax error is the usual cause";

/** Outputs as they are stored: none for volatile cells, no error texts for cells that must fail. */
function withOutputs(cell: Cell, outputs: Cell["outputs"]): Cell {
  if (cell.type !== "code" || cell.tags.includes("volatile")) return { ...cell, outputs: [] };
  if (!cell.tags.includes("raises-exception")) return { ...cell, outputs };
  const kept = outputs.filter((output) =>
    output.output_type !== "error" && !(output.output_type === "stream" && output.name === "stderr")
  );
  return { ...cell, outputs: kept };
}

function compareNotebooks(before: Notebook, now: Notebook, committed: string): Problem[] {
  const problems = now.cells.flatMap((cell, index): Problem[] => {
    const difference = compareOutputs(before.cells[index]?.outputs ?? [], cell.outputs);
    if (difference === undefined) return [];
    return [{
      cell: index + 1,
      text: `output differs from line ${difference.line}`,
      details: difference.lines,
    }];
  });
  const canonical = serializeNotebook(before);
  if (problems.length > 0 || committed === canonical) return problems;
  const form = firstDifference(committed.split("\n"), canonical.split("\n"));
  return [{
    text: `the file is not in canonical form from line ${form?.line}: --update writes it so`,
    details: form?.lines ?? [],
  }];
}

/** The cells that weigh most, for a notebook that is too large. */
function largest({ cells }: Notebook): string[] {
  return cells
    .map((cell, index) => ({ number: index + 1, size: JSON.stringify(cell.outputs).length }))
    .sort((a, b) => b.size - a.size)
    .slice(0, 3)
    .map(({ number, size }) => `cell ${number}: ${size} bytes of output`);
}

function hiddenPaths(kernel: Kernel): HiddenPath[] {
  const root = resolve(projectRoot);
  return [
    { path: kernel.temporary, name: "$TMPDIR" },
    { path: `${root}${sep}`, name: "" },
    { path: root, name: "." },
  ];
}

function lastLines(text: string): string[] {
  return text.trim().split("\n").filter((line) => line.trim() !== "").slice(-6);
}

/**
 * A result in the words of a terminal.
 *
 * @param result What `runNotebook` returned.
 * @returns One line, followed by indented lines for the problems of a notebook that is not ok.
 */
export function describeResult(result: NotebookResult): string {
  const { path, kernel, ok, problems, executed, codeCells, seconds, mustFail } = result;
  const cells = executed === codeCells ? `${codeCells} cells` : `${executed} of ${codeCells} cells`;
  const note = mustFail === undefined ? "" : ok ? "  fails as it must" : "";
  const head = [ok ? "ok    " : "FAILED", kernel.padEnd(5), basename(path).padEnd(30), cells.padStart(13)]
    .join("  ");
  const lines = [`${head}  ${seconds.toFixed(1).padStart(5)} s${note}`];
  if (ok) return lines[0] ?? "";
  if (mustFail !== undefined) lines.push(`    it must fail with "${mustFail}" and did not`);
  for (const { cell, text, details } of problems) {
    lines.push(
      `    ${cell === undefined ? "" : `cell ${cell}: `}${text}`,
      ...details.map((each) => `      ${each}`),
    );
  }
  return lines.join("\n");
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
