/** The type check of cells, and the rules both kernels need. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cellRules, checkCells, joinCells, parseCheckErrors } from "../../lib/notebook/check_cells.ts";
import type { Notebook } from "../../lib/notebook/format.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

const notebook = (...sources: string[]): Notebook => ({
  guide: {},
  cells: sources.map((source) => ({ id: "x", type: "code", source, tags: [], outputs: [] })),
});

Deno.test("checkCells() finds type errors and wrong imports with their cell, and leaves no file", async () => {
  const names = ["canary_type_error", "canary_wrong_import", "green"].map((name) =>
    `${folder}/${name}.ipynb`
  );
  const { notebooks, problems } = await checkCells(names);
  const text = problems.join("\n");
  assert.equal(notebooks, 3);
  assert.match(text, /canary_type_error\.ipynb, cell 1, line 1: TS2322: Type 'string' is not assignable/);
  assert.match(text, /canary_wrong_import\.ipynb, cell 1, line 1: TS\d+: .*noSuchName/);
  assert.doesNotMatch(text, /green/);
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith(".ipynb.ts")), []);
});

Deno.test("joinCells() knows where every line comes from", () => {
  const { origin } = joinCells({
    guide: {},
    cells: [
      { id: "m", type: "markdown", source: "# a\nb", tags: [], outputs: [] },
      ...notebook("a;\nb;", "c;").cells,
    ],
  });
  assert.deepEqual(origin, [{ cell: 2, line: 1 }, { cell: 2, line: 2 }, { cell: 3, line: 1 }]);
});

Deno.test("parseCheckErrors() reads one and several errors, and those without a place", () => {
  const one =
    "TS2322 [ERROR]: bad type\nconst a\n      ^\n    at file:///a%20b/c.ts:3:7\n\nerror: Type checking failed.\n";
  assert.deepEqual(parseCheckErrors(one), [{ message: "TS2322: bad type", file: "/a b/c.ts", line: 3 }]);
  const syntax = "error: The module's source code could not be parsed: Expected x at file:///a.ts:1:7\n";
  assert.match(parseCheckErrors(syntax)[0]?.message ?? "", /could not be parsed/);
  assert.deepEqual(parseCheckErrors(""), []);
});

Deno.test("cellRules() names what one of the kernels cannot run", () => {
  assert.deepEqual(
    cellRules(notebook('import { show } from "albert-guide";\nimport { a } from "node:fs";')),
    [],
  );
  assert.match(cellRules(notebook('import x from "yaml";'))[0] ?? "", /cell 1: imports "yaml"/);
  assert.match(cellRules(notebook('import x from "npm:yaml";'))[0] ?? "", /only$/);
  assert.match(cellRules(notebook("1;", "for await (const a of b) {}"))[0] ?? "", /cell 2: "for await"/);
  assert.match(cellRules(notebook('await import("x");'))[0] ?? "", /"import\(\)"/);
  assert.match(cellRules(notebook("a;\n".repeat(16)))[0] ?? "", /16 lines, allowed are 15/);
});
