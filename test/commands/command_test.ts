import assert from "node:assert/strict";
import {
  type Command,
  commands,
  helpOf,
  nearest,
  parseArguments,
  UsageError,
} from "../../lib/commands/mod.ts";
import { command } from "../../lib/commands/command.ts";

const sample: Command = command({
  name: "sample",
  summary: "A sample.",
  example: "albert sample --output=x",
  flags: {
    output: { kind: "string", required: true, help: "where" },
    steps: { kind: "int", default: 10, help: "how many", source: "reference" },
    rate: { kind: "float", help: "how fast" },
    do_train: { kind: "boolean", default: true, help: "train" },
    mode: { kind: "string", choices: ["a", "b"], default: "a", help: "which" },
  },
  run: () => Promise.resolve(),
});

const parse = (...args: string[]): Record<string, unknown> => parseArguments(sample, args).values;

Deno.test("parseArguments() reads --flag=value, --flag value, --noflag and defaults", () => {
  assert.deepEqual(parse("--output=x=y", "--steps", "12", "--nodo_train"), {
    output: "x=y",
    steps: 12,
    rate: undefined,
    do_train: false,
    mode: "a",
  });
  assert.equal(parse("--output=x", "--do_train=false")["do_train"], false);
  assert.equal(parse("--output=x", "--rate=1e-3")["rate"], 1e-3);
});

Deno.test("parseArguments() names what is wrong with a command line", () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["--output=x", "--stesp=3"], /unknown flag --stesp, did you mean --steps\?/],
    [["--output=x", "--qqqqqqq=3"], /unknown flag --qqqqqqq, see albert sample --help/],
    [["--output=x", "--steps=1.5"], /--steps=1.5: it must be a whole number/],
    [["--output=x", "--steps="], /must be a number/],
    [["--output=x", "--mode=c"], /one of a, b/],
    [["--output"], /--output needs a value/],
    [["--output=x", "--do_train=perhaps"], /true or false/],
    [["x"], /"x" is no flag/],
    [[], /--output must be given/],
  ];
  for (const [args, expected] of cases) {
    assert.throws(
      () => parse(...args),
      (error) => error instanceof UsageError && expected.test(error.message),
      args.join(" "),
    );
  }
});

Deno.test("helpOf() shows every flag with default and source", () => {
  const help = helpOf(sample);
  for (
    const part of [
      "--output=STRING",
      "required",
      "--steps=INT",
      "default 10, reference",
      "--[no]do_train",
      "--mode=a|b",
    ]
  ) {
    assert.ok(help.includes(part), part);
  }
});

Deno.test("nearest() finds a mistyped word and refuses a far one", () => {
  assert.equal(nearest("tokeniser", ["tokenizer", "records"]), "tokenizer");
  assert.equal(nearest("zzzz", ["tokenizer", "records"]), undefined);
});

Deno.test("commands() have distinct names, a summary, an example and a help for every flag", async () => {
  const list = await commands();
  const names = list.flatMap(({ name, aliases }) => [name, ...aliases]);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    const [found, ...more] = await commands(name); // the table knows it by this name
    assert.ok(found?.name === name || found?.aliases.includes(name), name);
    assert.deepEqual(more, [], name);
  }
  for (const { name, summary, example, flags } of list) {
    assert.ok(summary.endsWith("."), name);
    assert.ok(example.includes(name), name);
    for (const [flag, { help }] of Object.entries(flags)) assert.ok(help.length > 3, `${name} --${flag}`);
  }
});
