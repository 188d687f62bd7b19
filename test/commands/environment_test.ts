import assert from "node:assert/strict";
import { environment } from "../../lib/commands/environment.ts";
import { engineFlags, openWished } from "../../lib/commands/engine.ts";
import { UsageError } from "../../lib/commands/command.ts";
import { parseArguments } from "../../lib/commands/mod.ts";

const context = (lines: string[]) => ({
  print: (line: string = "") => void lines.push(line),
  onProgress: () => {},
  endProgress: () => Promise.resolve(),
  signal: new AbortController().signal,
});

Deno.test("openWished() tells auto's choice in one line, and nothing without a place to print", async () => {
  const lines: string[] = [];
  const engine = await openWished({ engine: "auto" }, context(lines).print);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", new RegExp(`^engine: ${engine.name}, because .*GFLOP/s`));
  assert.equal(await openWished({ engine: "auto" }), engine);
  assert.equal((await openWished({ engine: "reference" }, context(lines).print)).name, "reference");
  assert.equal(lines.length, 1);
  await assert.rejects(openWished({ engine: "auto", plugin: "/no/such.so" }), /no such file/);
  await assert.rejects(openWished({ engine: "tfjs", plugin: "/no/such.so" }), UsageError);
});

Deno.test("environment marks what nobody could run, and refuses to install what it does not know", async () => {
  const lines: string[] = [];
  await environment.run(parseArguments(environment, ["--plugin=/no/such.so"]).values, [], context(lines))
    .catch(
      (error: Error) => lines.push(error.message),
    );
  const rows = lines.flatMap((line) => line.split("\n"));
  assert.match(
    rows.find((row) => row.startsWith("engine ")) ?? "",
    /available +version +device +ms a training step/,
  );
  assert.match(
    rows.find((row) => row.startsWith("tfjs-wasm ")) ?? "",
    / yes +tfjs 4\.\d+\.\d+ +tfjs wasm(, \d+ threads)? +\d+\.\d$/,
  );
  assert.match(
    rows.find((row) => row.startsWith("reference ")) ?? "",
    / yes +of this library +float64 loops$/,
  );
  for (const name of ["tfjs-node", "tfjs-node-gpu", "xla-cuda", "xla-rocm", "xla-tpu"]) {
    const row = rows.find((row) => row.startsWith(`${name} `)) ?? "";
    if (/ yes /.test(row)) assert.match(row, / \d+\.\d$/);
    else {assert.match(
        lines.find((line) => line.startsWith(`${name}: `)) ?? "",
        /not installed; --install=|not here: /,
      );}
  }
  assert.ok(lines.some((line) => /^plugin \/no\/such\.so: does not work, .*no such file/.test(line)));
  assert.equal(lines.at(-2), "--engine=auto --plugin=/no/such.so: refused, since that plugin does not work");
  assert.match(lines.at(-1) ?? "", /^--engine=auto without --plugin: (xla-.*|tfjs-wasm), because /);
  assert.throws(() => parseArguments(environment, ["--install=xla-metal"]), /one of xla-cpu, xla-cuda/);
  assert.equal(engineFlags.engine.default, "auto");
});
