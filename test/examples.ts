// Runs the documentation examples of `lib`, as `deno test --doc lib` does, in a tenth of its time. Deno gives every
// example a fresh worker, which loads the whole library first; here the examples of one room share a worker. Each
// example becomes a module below build/examples, and each room a test file that imports them one by one.
//
//   deno run -A test/examples.ts [lib/tensor ...]     the examples of these folders; without any: of lib
//
// Types are not checked: `deno check --doc` does that among the types.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import process from "node:process";

/** One example: where it stands (1-based lines of its fences) and what it says. */
export type Example = { readonly first: number; readonly last: number; readonly code: string };

/** The examples in the documentation comments of a source text. */
export function examplesIn(source: string): Example[] {
  const examples: Example[] = [];
  for (const comment of source.matchAll(/^[ \t]*\/\*\*[^]*?\*\//gm)) {
    const firstLine = source.slice(0, comment.index).split("\n").length;
    const lines = comment[0].split("\n").map((line) => line.replace(/^\s*\*? ?/, ""));
    for (let at = 0; at < lines.length; at++) {
      if (!/^```ts\s*$/.test(lines[at] ?? "")) continue;
      const end = lines.findIndex((line, index) => index > at && line.startsWith("```"));
      if (end < 0) throw new SyntaxError(`Cannot take the example of line ${firstLine + at}: it has no end`);
      examples.push({
        first: firstLine + at,
        last: firstLine + end,
        code: lines.slice(at + 1, end).join("\n"),
      });
      at = end;
    }
  }
  return examples;
}

/** Every source file below a folder, in a settled order. */
function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts")).sort()
    .map((path) => join(folder, path));
}

/** Writes the examples below `folders` as test files, one for each room; returns the files. */
export function writeExamples(root: string, folders: readonly string[], target: string): string[] {
  rmSync(target, { recursive: true, force: true });
  const rooms = new Map<string, string[]>();
  for (const path of folders.flatMap((folder) => sourcesBelow(join(root, folder)))) {
    const place = relative(join(root, "lib"), path);
    const room = dirname(place).split("/")[0] ?? "";
    const stem = basename(place, ".ts");
    for (const { first, last, code } of examplesIn(readFileSync(path, "utf8"))) {
      const file = join(dirname(place), `${stem}_${first}.ts`);
      mkdirSync(dirname(join(target, file)), { recursive: true });
      writeFileSync(join(target, file), `${code}\nexport {};\n`);
      const name = `lib/${place}:${first}-${last}`;
      rooms.set(room, [
        ...rooms.get(room) ?? [],
        `Deno.test(${JSON.stringify(name)}, async () => void await import(${
          JSON.stringify(`./${file}`)
        }));\n`,
      ]);
    }
  }
  return [...rooms].map(([room, tests]) => {
    const path = join(target, `${room === "." ? "lib" : room}_test.ts`);
    writeFileSync(path, tests.join(""));
    return path;
  });
}

function main(args: readonly string[]): number {
  const root = new URL("..", import.meta.url).pathname;
  const files = writeExamples(root, args.length > 0 ? args : ["lib"], join(root, "build/examples"));
  const { status } = spawnSync(Deno.execPath(), ["test", "-A", "--no-check", "--parallel", ...files], {
    stdio: "inherit",
    cwd: root,
  });
  return status ?? 1;
}

if (import.meta.main) process.exit(main(process.argv.slice(2)));
