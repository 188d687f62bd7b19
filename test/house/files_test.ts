// The rules of the files: size, names, what may stand in the library, one example for every public symbol.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = new URL("../..", import.meta.url).pathname;
const skipped = new Set(["node_modules", ".git", "build", "data"]);

function files(folder: string, wanted: (path: string) => boolean): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : files(path, wanted);
    return wanted(path) ? [path] : [];
  });
}

const name = (path: string): string => relative(root, path);
const sources = (): string[] => files(join(root, "lib"), (path) => path.endsWith(".ts"));

Deno.test("files of lib hold one concept: at most 450 lines, an opening comment, snake_case names", () => {
  const problems = sources().flatMap((path) => {
    const text = readFileSync(path, "utf8");
    const lines = text.split("\n").length;
    return [
      ...(lines > 450 ? [`${name(path)} has ${lines} lines`] : []),
      ...(text.startsWith("/**") || text.startsWith("#!") ? [] : [`${name(path)} has no opening comment`]),
      ...(/^[a-z0-9_]+\.ts$/.test(path.split("/").at(-1) ?? "") ? [] : [`${name(path)} is not snake_case`]),
    ];
  });
  assert.deepEqual(problems, []);
});

Deno.test("lib has no default exports and no remote specifiers", () => {
  const problems = sources().flatMap((path) => {
    const text = readFileSync(path, "utf8");
    return [
      ...(/^export default /m.test(text) ? [`${name(path)} has a default export`] : []),
      ...(/from "(npm|jsr|https?):/.test(text) ? [`${name(path)} imports a remote specifier`] : []),
    ];
  });
  assert.deepEqual(problems, []);
});

Deno.test("the top level holds what the house promises", () => {
  const wanted = [
    ...["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "deno.json", "deno.lock", ".ci/run"],
    ...["lib/mod.ts", "lib/README.md", "lib/cli.ts", "notebooks/00_start_here.ipynb", "data", "test"],
  ];
  assert.deepEqual(wanted.filter((path) => !existsSync(join(root, path))), []);
});

Deno.test("the lock file and the configuration name no host of a registry and pin exactly", () => {
  for (const folder of [root, join(root, "web")]) {
    const lock = readFileSync(join(folder, "deno.lock"), "utf8");
    assert.doesNotMatch(lock, /https?:\/\//);
    const { imports } = JSON.parse(readFileSync(join(folder, "deno.json"), "utf8")) as {
      imports: Record<string, string>;
    };
    const loose = Object.entries(imports).filter(([, target]) =>
      target.startsWith("npm:") && !/@\d+\.\d+\.\d+\/?$/.test(target)
    );
    assert.deepEqual(loose, []);
  }
});

Deno.test("lib/model is read in one sitting: at most 500 lines", () => {
  const paths = sources().filter((path) => name(path).startsWith("lib/model/"));
  const lines = paths.reduce((sum, path) => sum + readFileSync(path, "utf8").trimEnd().split("\n").length, 0);
  assert.ok(paths.length > 0 && lines <= 500, `${lines} lines in ${paths.length} files`);
});
