/**
 * Type-checks the cells of notebooks: the Deno kernel does not, and a wrong import passes there in silence. Each
 * notebook's code cells become one hidden file beside it, `deno check` reads all of them at once, and they are deleted.
 * It follows that no name is declared twice in a notebook. Run: `deno run -A lib/notebook/check_cells.ts [paths]`.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { findNotebooks } from "./find.ts";
import { type Notebook, parseNotebook } from "./format.ts";
import { projectRoot } from "./paths.ts";

/** Settings of `checkCells`. */
export type CheckOptions = {
  /** Project whose `deno.json` holds. Default: this project. */
  readonly root?: string;
};

/** What the check found. */
export type CheckResult = {
  /** Notebooks checked. */
  readonly notebooks: number;
  /** Complaints, `notebook, cell 3, line 2: text`. */
  readonly problems: readonly string[];
};

/** The program made of a notebook's code cells, and where each of its lines comes from. */
export type JoinedCells = {
  readonly code: string;
  /** Cell and line within it, both from 1, of each line of `code`. */
  readonly origin: readonly { readonly cell: number; readonly line: number }[];
};

/**
 * Joins the code cells of a notebook into one module.
 *
 * @param notebook The notebook.
 * @returns Its code, and the origin of each line.
 * @example
 * ```ts
 * import { joinCells } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const cell = { id: "a", type: "code", source: "const x = 1;", tags: [], outputs: [] } as const;
 * const { code, origin } = joinCells({ cells: [cell], guide: {} });
 * assert.equal(code, "const x = 1;\nexport {};\n");
 * assert.deepEqual(origin[0], { cell: 1, line: 1 });
 * ```
 */
export function joinCells({ cells }: Notebook): JoinedCells {
  const lines: string[] = [];
  const origin: { cell: number; line: number }[] = [];
  cells.forEach((cell, index) => {
    if (cell.type !== "code") return;
    cell.source.split("\n").forEach((text, line) => {
      lines.push(text);
      origin.push({ cell: index + 1, line: line + 1 });
    });
  });
  // A module even without imports: two notebooks may use the same names.
  return { code: [...lines, "export {};", ""].join("\n"), origin };
}

/**
 * Type-checks notebooks and looks for what one of the kernels cannot run.
 *
 * @param paths The `.ipynb` files.
 * @param options See {@link CheckOptions}.
 * @returns Everything found.
 * @throws {Error} When a file cannot be read or written beside.
 */
export async function checkCells(
  paths: readonly string[],
  { root = projectRoot }: CheckOptions = {},
): Promise<CheckResult> {
  const problems: string[] = [];
  const files = new Map<string, { path: string; joined: JoinedCells }>();
  try {
    for (const path of paths) {
      const notebook = parseNotebook(readFileSync(path, "utf8"));
      const joined = joinCells(notebook);
      const file = resolve(join(dirname(path), `.${basename(path)}.ts`));
      files.set(file, { path, joined });
      writeFileSync(file, joined.code);
      problems.push(...cellRules(notebook).map((rule) => `${basename(path)}, ${rule}`));
    }
    if (files.size > 0) problems.push(...await denoCheck([...files.keys()], files, root));
  } finally {
    for (const file of files.keys()) rmSync(file, { force: true });
  }
  return { notebooks: paths.length, problems };
}

async function denoCheck(
  names: readonly string[],
  files: ReadonlyMap<string, { readonly path: string; readonly joined: JoinedCells }>,
  root: string,
): Promise<string[]> {
  const { success, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...names],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (success) return [];
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const found = parseCheckErrors(text).map(({ message, file, line }) => {
    const known = files.get(file);
    if (known === undefined) return file === "" ? message : `${relative(root, file)}:${line}: ${message}`;
    const at = known.joined.origin[line - 1];
    return `${basename(known.path)}${at ? `, cell ${at.cell}, line ${at.line}` : ""}: ${message}`;
  });
  return found.length > 0 ? found : [text.trim()];
}

/**
 * Reads what `deno check` prints: `TS2322 [ERROR]: text`, the code, and `at file:///...:line:column`.
 *
 * @param text Its output without colours.
 * @returns Messages with their file and line, from 1.
 */
export function parseCheckErrors(text: string): { message: string; file: string; line: number }[] {
  const errors: { message: string; file: string; line: number }[] = [];
  let open: string | undefined;
  for (const line of text.split("\n")) {
    const start = /^\s*(?:(TS\d+ \[ERROR\])|error): (.*)$/.exec(line);
    const place = /^\s*at (file:\/\/\S+?):(\d+):\d+\s*$/.exec(line);
    if (start) {
      const message = start[2] ?? "";
      const code = start[1]?.split(" ")[0];
      open = message === "Type checking failed." ? undefined : code ? `${code}: ${message}` : message;
    } else if (place && open !== undefined) {
      errors.push({
        message: open,
        file: decodeURIComponent(new URL(place[1] ?? "").pathname),
        line: Number(place[2]),
      });
      open = undefined;
    }
  }
  if (open !== undefined) errors.push({ message: open, file: "", line: 0 });
  return errors;
}

/** Most lines of code in a cell. */
const longestCell = 15;

/** What both kernels can run and a reader can follow; each rule names a measured failure or the design. */
const rules: readonly { readonly pattern: RegExp; readonly text: string }[] = [
  {
    pattern: /^for await\b/m,
    text: '"for await" at the top level is a syntax error in tslab: loop in a function',
  },
  { pattern: /\bimport\s*\(/, text: '"import()" does not work in both kernels: import at the top of a cell' },
  { pattern: /^\s*(await )?using\s+\w/m, text: '"using" does not run in Node 20' },
  { pattern: /\bfrom\s+["'](npm|jsr|https?):/, text: 'cells import from "albert-guide" and "node:" only' },
];

/** Breaks of the rules in a notebook, as `cell 3: text`. */
export function cellRules({ cells }: Notebook): string[] {
  return cells.flatMap((cell, index) => {
    if (cell.type !== "code") return [];
    const found = rules.filter(({ pattern }) => pattern.test(cell.source)).map(({ text }) => text);
    const imports = [...cell.source.matchAll(/\bfrom\s+["']([^"']+)["']/g)].map((match) => match[1] ?? "");
    const foreign = imports.filter((name) =>
      name !== "albert-guide" && !/^(node|npm|jsr|https?):/.test(name)
    );
    const lines = cell.source.trim().split("\n").length;
    if (lines > longestCell) found.push(`${lines} lines, allowed are ${longestCell}`);
    found.push(
      ...foreign.map((name) => `imports "${name}": cells import from "albert-guide" and "node:" only`),
    );
    return found.map((text) => `cell ${index + 1}: ${text}`);
  });
}

/** Command line of the check: exit code 0 when all is well, 1 when there are problems, 2 for wrong usage. */
export async function checkMain(args: readonly string[]): Promise<number> {
  const print = (text: string): Promise<number> => Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
  const flag = args.find((each) => each.startsWith("-"));
  if (flag !== undefined) {
    await print("usage: deno run -A lib/notebook/check_cells.ts [notebooks or folders]");
    return flag === "--help" ? 0 : 2;
  }
  const paths = findNotebooks(args.length > 0 ? args : [join(projectRoot, "notebooks")]);
  const { notebooks, problems } = await checkCells(paths);
  for (const problem of problems) await print(problem);
  await print(`${notebooks} notebooks checked, ${problems.length} problems`);
  return problems.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await checkMain(Deno.args));
