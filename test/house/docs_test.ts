// Every public symbol has a sentence and an example that `deno test --doc` runs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

type Doc = {
  readonly tags?: readonly { readonly kind: string; readonly doc?: string }[];
  readonly doc?: string;
};
type Declaration = {
  readonly jsDoc?: Doc;
  readonly kind: string;
  readonly location: { readonly filename: string; readonly line: number };
};
type Symbol = { readonly name: string; readonly declarations?: readonly Declaration[] };

function publicSymbols(): Symbol[] {
  const door = new URL("../../lib/mod.ts", import.meta.url).pathname;
  const { stdout, stderr, status } = spawnSync(Deno.execPath(), ["doc", "--json", door], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, stderr);
  const json = JSON.parse(stdout) as { nodes: Record<string, { symbols: readonly Symbol[] }> };
  return Object.values(json.nodes).flatMap(({ symbols }) => symbols);
}

Deno.test("every public symbol has a sentence and an @example", () => {
  const symbols = publicSymbols();
  assert.ok(symbols.length > 100, `only ${symbols.length} public symbols were found`);
  const bare = symbols.filter(({ declarations = [] }) =>
    !declarations.some(({ jsDoc }) => (jsDoc?.doc ?? "").trim() !== "")
  );
  const without = symbols.filter(({ declarations = [] }) =>
    !declarations.some(({ jsDoc }) =>
      jsDoc?.tags?.some(({ kind, doc }) => kind === "example" && /```ts\n[\s\S]*\n```/.test(doc ?? ""))
    )
  );
  assert.deepEqual({ bare: bare.map((s) => s.name), without: without.map((s) => s.name) }, {
    bare: [],
    without: [],
  });
});
