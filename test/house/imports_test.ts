// The arrows of the house: who may import whom. A new room gets one line here.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const lib = new URL("../../lib", import.meta.url).pathname;

/** Rooms by height; an import may only go down. Rooms of one line are beside each other and know nothing of each other. */
const levels: readonly (readonly string[])[] = [
  ["cli"],
  ["commands", "notebook"],
  ["show", "train", "records", "export"],
  ["model", "tasks"],
  ["tensor", "tokenizer", "text"],
  ["formats", "config", "random", "progress", "own_file", "optional_package"],
];

/** Arrows allowed beside the rule, each with its reason. */
const exceptions: ReadonlyMap<string, string> = new Map([
  ["engines -> tensor", "an engine needs the types of the graph, and the hash of its random bits"],
  ["commands -> engines", "the command line opens the engine it was asked for"],
  [
    "tensor -> engines",
    "late import of the default engine for `await tensor.data()`, in interactive.ts only",
  ],
  ["config -> formats", "a broken config is named by its byte"],
  ["formats -> progress", "long reads and writes report"],
  ["engines -> formats", "an installed plugin is written whole or not at all, and a damaged wheel is named"],
  ["engines -> progress", "installing a plugin reports"],
  ["engines -> own_file", "the XLA process starts from a file of its own"],
  ["engines -> optional_package", "tfjs may be left out of an installation"],
]);

type Arrow = { readonly from: string; readonly to: string; readonly file: string; readonly target: string };

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? files(join(folder, entry.name))
      : entry.name.endsWith(".ts")
      ? [join(folder, entry.name)]
      : []
  );
}

const roomOf = (path: string): string => (relative(lib, path).split("/")[0] as string).replace(/\.ts$/, "");

/** Every import of one source text: static, re-exported and late ones. Comments are left out. */
export function specifiers(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)["']([^"']+)["']/gm)].map((match) =>
    match[1] as string
  );
}

function arrows(): Arrow[] {
  return files(lib).filter((file) => roomOf(file) !== "mod").flatMap((file) =>
    specifiers(readFileSync(file, "utf8")).filter((name) => name.startsWith(".")).map((name) => {
      const target = resolve(dirname(file), name);
      return {
        from: roomOf(file),
        to: roomOf(target),
        file: relative(lib, file),
        target: relative(lib, target),
      };
    })
  );
}

const level = (room: string): number => levels.findIndex((rooms) => rooms.includes(room));

/** What is wrong with an arrow, or undefined. */
export function judge({ from, to, file, target }: Arrow): string | undefined {
  if (from === to) return undefined;
  if (to === "mod") return `${file} imports the public door ${target}`;
  const door = target === `${to}.ts` || target === `${to}/mod.ts` ||
    (from === "engines" && to === "tensor") || (from === "commands" && to === "commands");
  if (!door) return `${file} reaches past the door of ${to}: ${target}`;
  if (exceptions.has(`${from} -> ${to}`)) {
    return `${from} -> ${to}` === "tensor -> engines" && file !== "tensor/interactive.ts"
      ? `${file} imports ${target}`
      : undefined;
  }
  if (from === "engines" || to === "engines") {
    return `${file} imports ${target}: engines are known by their interface only`;
  }
  if (level(from) < 0 || level(to) < 0) {
    return `${file} imports ${target}: one of the rooms is not on the map of this test`;
  }
  return level(from) < level(to)
    ? undefined
    : `${file} imports ${target}: the arrow ${from} -> ${to} points back`;
}

Deno.test("every import in lib points down and goes through a door", () => {
  const all = arrows();
  assert.ok(all.length > 50, `only ${all.length} imports were found`);
  assert.deepEqual(all.map(judge).filter((problem) => problem !== undefined), []);
});

Deno.test("judge() refuses arrows that point back, sideways or past a door", () => {
  const arrow = (file: string, target: string): Arrow => ({
    from: roomOf(join(lib, file)),
    to: roomOf(join(lib, target)),
    file,
    target,
  });
  assert.match(judge(arrow("tokenizer/a.ts", "train/mod.ts")) ?? "", /points back/);
  assert.match(judge(arrow("records/a.ts", "train/mod.ts")) ?? "", /points back/);
  assert.match(judge(arrow("train/a.ts", "model/encoder.ts")) ?? "", /past the door/);
  assert.match(judge(arrow("model/a.ts", "engines/mod.ts")) ?? "", /interface/);
  assert.match(judge(arrow("model/a.ts", "mod.ts")) ?? "", /public door/);
  assert.equal(judge(arrow("train/a.ts", "model/mod.ts")), undefined);
});

Deno.test("specifiers() sees static, re-exported, side-effect and late imports, not comments", () => {
  const source =
    `import { a } from "./a.ts";\nexport * from "./b.ts";\nimport "./c.ts";\nawait import("./d.ts");\n// from "./e.ts"`;
  assert.deepEqual(specifiers(source), ["./a.ts", "./b.ts", "./c.ts", "./d.ts"]);
});
