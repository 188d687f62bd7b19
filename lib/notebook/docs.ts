/**
 * Pages about every public symbol, for a browser: `build/docs/index.html`, from the same comments that run as examples.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pid } from "node:process";

/**
 * Writes the pages with `deno doc`.
 *
 * @param options `root`: the project. `output`: folder of the pages; an earlier one is replaced.
 * @returns The page to begin with, and how many symbols have one.
 * @throws {Error} When `deno doc` finds a mistake.
 */
export function writeDocs(
  { root, output }: { readonly root: string; readonly output: string },
): { readonly index: string; readonly symbols: number } {
  const draft = `${output}.tmp-${pid}`;
  try {
    const args = ["doc", "--html", "--name=albert-guide", `--output=${draft}`, join("lib", "mod.ts")];
    const { status, stderr } = spawnSync(Deno.execPath(), args, { cwd: root, encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot write ${output}: deno doc failed: ${stderr.trim()}`);
    const pages = readdirSync(join(draft, "~"), { withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { name } of pages) {
      const page = join(draft, "~", name);
      // The line to copy names the file it was read from, which nobody imports.
      const text = readFileSync(page, "utf8");
      writeFileSync(page, text.replaceAll("from &quot;.&quot;", "from &quot;albert-guide&quot;"));
    }
    rmSync(output, { recursive: true, force: true });
    renameSync(draft, output);
    return { index: join(output, "index.html"), symbols: pages.length };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
