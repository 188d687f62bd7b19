// Packs the normalization tables of the tokenizer into `lib/tokenizer/charsmaps.br`, or tells whether the file is that:
//
//     deno run -A data/charsmaps.ts [--check]
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { isBlob, type KnownBlob, knownBlobs } from "../lib/tokenizer/charsmap_blobs.ts";
import { buildCharsmap } from "../lib/tokenizer/charsmap.ts";
import { makePace } from "../lib/tokenizer/pace.ts";

/** Builds a table from the rules; fails when it is not the one that SentencePiece ships. */
async function build(known: KnownBlob): Promise<Uint8Array> {
  const blob = await buildCharsmap(known, makePace());
  if (!isBlob(blob, known)) throw new Error(`${known.name} of Unicode ${known.unicode} is not SentencePiece's`);
  return blob;
}

const path = new URL("../lib/tokenizer/charsmaps.br", import.meta.url);
const blobs: Uint8Array[] = [];
for (const known of knownBlobs) if (known.packed) blobs.push(await build(known));
const all = Buffer.concat(blobs);
if (process.argv.includes("--check")) {
  const same = existsSync(path) && all.equals(brotliDecompressSync(readFileSync(path)));
  process.stdout.write(`charsmaps.br ${same ? "holds" : "DOES NOT HOLD"} what the rules give\n`);
  process.exit(same ? 0 : 1);
}
const params = {
  [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
  [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
  [constants.BROTLI_PARAM_SIZE_HINT]: all.length,
};
writeFileSync(path, brotliCompressSync(all, { params }));
