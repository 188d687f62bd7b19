import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gzipSync } from "node:zlib";
import { loadSentencePiece, type Piece, serializeModel } from "albert-guide";
import { type Command, parseArguments } from "../../lib/commands/command.ts";
import { decode, encode } from "../../lib/commands/encode.ts";

const normal = (piece: string, score: number): Piece => ({ piece, score, type: "normal" });
const model = serializeModel({
  pieces: [
    { piece: "<unk>", score: 0, type: "unknown" },
    ...[normal("▁", -2), normal("a", -1.5), normal("▁a", -1), normal("b", -2), normal("ab", -2.5)],
  ],
  normalizer_spec: { name: "identity" },
});

function workspace(): string {
  const folder = mkdtempSync(`${tmpdir()}/albert-`);
  writeFileSync(`${folder}/t.model`, model);
  writeFileSync(`${folder}/in.txt`, "ab a\n\nabab");
  writeFileSync(`${folder}/in.gz`, gzipSync("aab\n"));
  return folder;
}

async function run(command: Command, folder: string, ...args: string[]): Promise<string> {
  const all = [`--model=${folder}/t.model`, `--output=${folder}/out.txt`, ...args];
  const { values, positionals } = parseArguments(command, all);
  await command.run(values, positionals, {
    print: () => {},
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return readFileSync(`${folder}/out.txt`, "utf8");
}

Deno.test("albert encode writes a line of pieces or ids for each line of its files, decode gives the text back", async () => {
  const folder = workspace();
  const input = `--input=${folder}/in.txt,${folder}/in.gz`;
  assert.equal(await run(encode, folder, input), "▁a b ▁a\n\n▁a b ab\n▁a ab\n");
  const ids = await run(encode, folder, input, "--output_format=id");
  assert.equal(ids, "3 4 3\n\n3 4 5\n3 5\n");
  writeFileSync(`${folder}/ids.txt`, ids);
  const back = await run(decode, folder, `--input=${folder}/ids.txt`, "--input_format=id");
  assert.equal(back, "ab a\n\nabab\naab\n");
  assert.equal(
    await run(encode, folder, `--input=${folder}/in.gz`, "--output_format=nbest_piece", "--nbest_size=2"),
    "▁a ab\n▁a a b\n",
  );
});

Deno.test("albert encode draws segmentations that repeat with the seed", async () => {
  const folder = workspace();
  writeFileSync(`${folder}/many.txt`, "abab\n".repeat(50));
  const drawn = (seed: number) =>
    run(
      encode,
      folder,
      `--input=${folder}/many.txt`,
      "--output_format=sample_id",
      "--nbest_size=-1",
      `--random_seed=${seed}`,
    );
  const [a, b, c] = [await drawn(1), await drawn(1), await drawn(2)];
  assert.equal(a, b);
  assert.notEqual(a, c);
  const { decode } = loadSentencePiece(model);
  for (const line of a.trim().split("\n")) assert.equal(decode(line.split(" ").map(Number)), "abab");
});

Deno.test("albert encode and decode say what is wrong and leave no file behind", async () => {
  const folder = workspace();
  writeFileSync(`${folder}/bad.txt`, Uint8Array.of(0x61, 0x0a, 0xff, 0x0a));
  writeFileSync(`${folder}/ids.txt`, "1 2\n3 6\n");
  await assert.rejects(
    run(encode, folder, `--input=${folder}/bad.txt`),
    /bad\.txt as UTF-8: byte 2, in line 2, is 0xff/,
  );
  await assert.rejects(run(encode, folder, `--input=${folder}/none.txt`), /none\.txt: there is no such file/);
  await assert.rejects(
    run(decode, folder, `--input=${folder}/ids.txt`, "--input_format=id"),
    /Cannot decode line 2 of .*ids\.txt: "6" is no id, ids are 0 to 5/,
  );
  assert.ok(!existsSync(`${folder}/out.txt`));
  assert.deepEqual(readdirSync(folder).filter((name) => name.includes("tmp")), []);
});
