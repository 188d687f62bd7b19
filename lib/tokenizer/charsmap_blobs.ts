/**
 * The four normalization tables that are asked for most, packed in `charsmaps.br` beside this file, because building one
 * takes two seconds: `nmt_nfkc` and `nmt_nfkc_cf` for Unicode 13 and 17. `data/charsmaps.ts` makes the file from the rules
 * and tells whether it is still the same. The tables are data of the Unicode Character Database (Unicode License v3) in
 * SentencePiece's form (Apache License 2.0); the hashes are those of the blobs in SentencePiece's own models.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { ownFile } from "../own_file.ts";
import type { NormalizationRuleName, TableUnicode } from "./charsmap_rules.ts";

/** One table: its name, its size, the SHA-256 of its blob, and whether it is in the file. */
export type KnownBlob = {
  readonly name: Exclude<NormalizationRuleName, "identity">;
  readonly unicode: TableUnicode;
  readonly bytes: number;
  readonly sha256: string;
  readonly packed: boolean;
};

/** All tables; the packed ones stand in the file in this order. */
export const knownBlobs: readonly KnownBlob[] = [
  ["nmt_nfkc", 13, 237561, "51d3684747b35ef99cd4802f37cc1ee0c6bec4d060814f774efb1066d3c167f2", true],
  ["nmt_nfkc_cf", 13, 244410, "6cec34e8016fd0d0a2da28b60b00e36b19a275df83786bf6b494bd033c708f83", true],
  ["nmt_nfkc", 17, 240007, "5febaab28312e9dbddb42be695c9e4380367f7ebe65121cdf894fb5d59d37eed", true],
  ["nmt_nfkc_cf", 17, 247164, "2df05162904a1bca9784913964d2a863d656676479f7c8bb11be49c980ea5f77", true],
  ["nfkc", 13, 237562, "557b5397b1133d8abb62f7923e5b53ee496d3e36b9f63fd42625077c33688a14", false],
  ["nfkc_cf", 13, 244411, "b30e4085ba1fad56d2401f4612419b6b3b42c5adc1e04f3aa1806399895d6bdd", false],
  ["nfkc", 17, 240008, "7e46d9e08af4b6a37991b04fb8388644c1595a0abcd0f26d6a5d575e2a3663ea", false],
  ["nfkc_cf", 17, 247165, "d8dfef3d6db0eef0742f8b55a73aee7fce6c1e21d26a09b8d3d4b52c42a791cb", false],
].map(([name, unicode, bytes, sha256, packed]) => ({ name, unicode, bytes, sha256, packed }) as KnownBlob);

/** The table's blob from the file; undefined when it is not there, or not as it should be. */
export function packedBlob(wished: KnownBlob): Uint8Array | undefined {
  if (!wished.packed) return undefined;
  let begin = 0;
  for (const blob of knownBlobs) {
    if (blob === wished) break;
    if (blob.packed) begin += blob.bytes;
  }
  try {
    const file = new URL(ownFile("charsmap_blobs").replace(/charsmap_blobs\.[jt]s$/, "charsmaps.br"));
    const all = new Uint8Array(brotliDecompressSync(readFileSync(file)));
    const bytes = all.slice(begin, begin + wished.bytes);
    return isBlob(bytes, wished) ? bytes : undefined;
  } catch {
    return undefined; // in a bundle there is no file beside us: the table is built
  }
}

/** Whether bytes are that table. */
export function isBlob(bytes: Uint8Array, { sha256 }: KnownBlob): boolean {
  return createHash("sha256").update(bytes).digest("hex") === sha256;
}
