import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Command, parseArguments } from "../../lib/commands/command.ts";
import { raws } from "../../lib/commands/raws.ts";
import { tokenizer } from "../../lib/commands/tokenizer.ts";

async function stages(command: Command, args: readonly string[]): Promise<readonly string[]> {
  const seen: string[] = [];
  const { values, positionals } = parseArguments(command, args);
  const running = command.run(values, positionals, {
    print: () => {},
    onProgress: ({ stage }) => void seen.push(stage),
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  await assert.rejects(running, /Cannot write .*a file is where a folder is needed/);
  return seen;
}

Deno.test("raws and tokenizer refuse a place that cannot be written before they work, and leave nothing there", async () => {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/in.txt`, "the sea is wide\nthe land is dry\n".repeat(50));
  const input = `--input=${folder}/in.txt`;
  assert.deepEqual(await stages(raws, [input, `--output=${folder}/in.txt/raw.txt`]), []);
  assert.deepEqual(
    await stages(tokenizer, [input, `--model_prefix=${folder}/in.txt/t`, "--vocab_size=16"]),
    [],
  );
  assert.deepEqual(readdirSync(folder), ["in.txt"]);
});
