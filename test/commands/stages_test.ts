import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStages, sourceHash } from "../../lib/commands/stages.ts";

function setup(): { readonly folder: string; readonly input: string; readonly output: string } {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  const input = join(folder, "in.txt");
  writeFileSync(input, "one");
  return { folder, input, output: join(folder, "out.txt") };
}

async function runs(
  { folder, input, output }: ReturnType<typeof setup>,
  { options = 1, sources = "s", fresh = false }: { options?: unknown; sources?: string; fresh?: boolean } =
    {},
): Promise<boolean> {
  const { reused, made } = await openStages(folder, { sources, fresh })("copy", {
    options,
    inputs: [input],
    outputs: [output],
    run: () => {
      writeFileSync(output, readFileSync(input, "utf8") + JSON.stringify(options));
      return Promise.resolve({ bytes: 4 });
    },
  });
  assert.deepEqual(made, { bytes: 4 });
  return !reused;
}

Deno.test("openStages() reuses a stage while nothing changed", async () => {
  const place = setup();
  assert.equal(await runs(place), true);
  assert.equal(await runs(place), false);
});

Deno.test("openStages() makes a stage again when input, output, options, sources or the wish change", async () => {
  const place = setup();
  await runs(place);
  writeFileSync(place.input, "two");
  assert.equal(await runs(place), true, "input");
  writeFileSync(place.output, "damaged");
  assert.equal(await runs(place), true, "output");
  assert.equal(await runs(place, { options: 2 }), true, "options");
  assert.equal(await runs(place, { options: 2, sources: "t" }), true, "sources");
  assert.equal(await runs(place, { options: 2, sources: "t" }), false, "nothing");
  assert.equal(await runs(place, { options: 2, sources: "t", fresh: true }), true, "fresh");
});

Deno.test("openStages() leaves no stamp when a stage fails", async () => {
  const place = setup();
  await runs(place);
  writeFileSync(place.input, "three");
  const failing = openStages(place.folder, { sources: "s" })("copy", {
    options: 1,
    inputs: [place.input],
    outputs: [place.output],
    run: () => Promise.reject(new Error("no")),
  });
  await assert.rejects(failing, /no/);
  assert.equal(await runs(place), true);
});

Deno.test("openStages() tells a stage whether it goes on with the same work", async () => {
  const place = setup();
  const seen: boolean[] = [];
  const attempt = (options: unknown, fails: boolean): Promise<unknown> =>
    openStages(place.folder, { sources: "s" })("copy", {
      options,
      inputs: [place.input],
      outputs: [],
      run: ({ goesOn }) => {
        seen.push(goesOn);
        return fails ? Promise.reject(new Error("killed")) : Promise.resolve({});
      },
    });
  await assert.rejects(attempt(1, true));
  await attempt(1, false);
  await assert.rejects(attempt(2, true));
  await attempt(3, false);
  assert.deepEqual(seen, [false, true, false, false]);
});

Deno.test("sourceHash() depends on the library's sources", () => {
  const lib = new URL("../../lib", import.meta.url).pathname;
  const copy = join(mkdtempSync(join(tmpdir(), "albert-")), "lib");
  cpSync(lib, copy, { recursive: true });
  assert.match(sourceHash(lib), /^[0-9a-f]{64}$/);
  assert.equal(sourceHash(copy), sourceHash(lib));
  writeFileSync(join(copy, "tasks", "mod.ts"), `${readFileSync(join(copy, "tasks", "mod.ts"), "utf8")} `);
  assert.notEqual(sourceHash(copy), sourceHash(lib));
});
