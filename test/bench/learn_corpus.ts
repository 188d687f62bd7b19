// Corpora of the learning bench: the embedded Bible, and a dictionary that a Debian package ships (dict-gcide: 40 MB, the
// GNU Collaborative International Dictionary of English, GPL 2 or later), read where the package lies.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { writeEmbeddedRaw, writeFileAtomic, writeRaw } from "albert-guide";

/** Both raw files. */
export type RawFiles = { readonly train: string; readonly heldOut: string };

/** Where the package puts it; `ALBERT_GCIDE` names another place. */
const gcide = (): string => process.env["ALBERT_GCIDE"] ?? "/usr/share/dictd/gcide.dict.dz";

/** Raw files of a corpus in clauses, documents of 40, every 15th held out; made once. */
export async function rawFiles(corpus: "kjv" | "gcide", folder: string): Promise<RawFiles> {
  const files = { train: join(folder, "train.txt"), heldOut: join(folder, "held_out.txt") };
  if (existsSync(files.train) && existsSync(files.heldOut)) return files;
  mkdirSync(folder, { recursive: true });
  const [outputTrain, outputHeldOut] = [files.train, files.heldOut];
  if (corpus === "kjv") {
    const dataDir = new URL("../../data", import.meta.url).pathname;
    await writeEmbeddedRaw({ corpus, dataDir, outputTrain, outputHeldOut });
    return files;
  }
  if (!existsSync(gcide())) {
    throw new Error(
      `Cannot read ${gcide()}: install the Debian package dict-gcide, or name it in ALBERT_GCIDE`,
    );
  }
  const input = join(folder, "text.txt");
  writeFileAtomic(input, plainEntries(gunzipSync(readFileSync(gcide())).toString("utf8")));
  await writeRaw({ input, output: outputTrain, heldOutOutput: outputHeldOut, splitter: "clause" });
  return files;
}

/** Entries as running text: without pronunciation, sources, links and authors; 20 of them make a document. */
function plainEntries(text: string): string {
  const entries = text.split(/\n(?=\S)/).map((entry) =>
    entry.replace(/\s+/g, " ").replace(/\\[^\\]*\\|\[[^\]]*\]/g, " ").replace(/[{}]/g, "")
      .replace(/\s*--[A-Z][\w.' ]{0,30}\.( \.)?/g, ".").replace(/\s+([.,;])/g, "$1").replace(/\s+/g, " ")
      .trim()
  ).filter((entry) => entry.length > 40 && !entry.startsWith("00-database"));
  return entries.map((entry, i) => `${entry}\n${i % 20 === 19 ? "\n" : ""}`).join("");
}
