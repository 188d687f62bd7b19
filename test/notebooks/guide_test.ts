/** What every notebook of the guide owes its reader, and what single ones promise. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAlbertConfig, parsePretrainingConfig } from "albert-guide";
import { writeDocs } from "../../lib/notebook/docs.ts";
import { type Notebook, parseNotebook } from "../../lib/notebook/format.ts";
import { projectRoot } from "../../lib/notebook/paths.ts";

const folder = fileURLToPath(new URL("../../notebooks", import.meta.url));
const names = readdirSync(folder).filter((name) => /^\d\d_\w+\.ipynb$/.test(name)).sort();
const read = (name: string): Notebook => parseNotebook(readFileSync(join(folder, name), "utf8"));
const prose = ({ cells }: Notebook): string =>
  cells.filter(({ type }) => type === "markdown").map(({ source }) => source).join("\n\n");

for (const name of names) {
  Deno.test(`${name} has a title, a check that can fail, and three exercises with hidden answers`, () => {
    const notebook = read(name);
    const text = prose(notebook);
    assert.match(text, /^# \S/);
    assert.ok(
      notebook.cells.some(({ type, source }) => type === "code" && /\bassert\b/.test(source)),
      "a check",
    );
    const exercises = text.slice(text.search(/^## Exercises/m));
    const answers = [...exercises.matchAll(/<details><summary>Answer<\/summary>[\s\S]+?<\/details>/g)];
    assert.equal(answers.length, 3);
    assert.doesNotMatch(text, /GELU_ANSWER|ANSWER\d|TODO/);
  });
}

Deno.test("notebook 02 explains every key of both configurations", () => {
  const text = prose(read("02_configuration.ipynb"));
  const optional = ["net_structure_type", "gap_size", "num_memory_blocks", "layers_to_keep"];
  const keys = [
    ...Object.keys(parseAlbertConfig({ vocab_size: 1000 })),
    ...optional,
    ...Object.keys(parsePretrainingConfig({})),
  ];
  assert.ok(keys.length > 50);
  assert.deepEqual(keys.filter((key) => !text.includes(`\`${key}\``)), []);
});

Deno.test("notebook 01 stores no number that depends on the machine", () => {
  const stored = read("01_environment.ipynb").cells.flatMap(({ outputs }) => outputs);
  const volatile = stored.filter((output) =>
    output.output_type === "display_data" && JSON.stringify(output.metadata).includes("volatile")
  );
  assert.ok(volatile.length >= 6);
  const others = JSON.stringify(stored.filter((output) => !volatile.includes(output)));
  assert.equal(/GFLOP|GiB|\d ms\b|xla-cpu/.exec(others)?.[0], undefined);
});

Deno.test("the notebooks link to the documentation, and each of their links leads to a file", () => {
  const links = names.flatMap((name) =>
    [...prose(read(name)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => ({ name, target }))
  ).filter(({ target }) => !/^https?:/.test(target));
  const documentation = "../build/docs/"; // where `deno task build` writes it
  assert.ok(links.some(({ name, target }) => name.startsWith("00") && target.startsWith(documentation)));
  const temporary = mkdtempSync(join(tmpdir(), "albert-docs-"));
  try {
    const output = join(temporary, "docs");
    writeDocs({ root: projectRoot, output });
    const place = (target: string): string =>
      target.startsWith(documentation)
        ? join(output, target.slice(documentation.length))
        : join(folder, target);
    assert.deepEqual(links.filter(({ target }) => !existsSync(place(target))), []);
  } finally {
    rmSync(temporary, { recursive: true });
  }
});
