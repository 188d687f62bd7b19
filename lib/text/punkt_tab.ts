/**
 * Punkt's tables on disk, in the four files of NLTK's `punkt_tab/<language>/` (NLTK 3.9 and newer), so that models
 * travel in both directions. NLTK's own models have no licence and are not part of this package.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CorruptFileError, writeFileAtomic } from "../formats/mod.ts";
import { readError } from "./lines.ts";
import type { PunktModel } from "./punkt_train.ts";

const FILES = {
  abbreviations: "abbrev_types.txt",
  sentenceStarters: "sent_starters.txt",
  collocations: "collocations.tab",
  orthography: "ortho_context.tab",
} as const;

/**
 * Reads a folder of NLTK's `punkt_tab` format.
 *
 * @param folder Such as `nltk_data/tokenizers/punkt_tab/german`.
 * @returns The model.
 * @throws {Error} When one of the four files is missing.
 * @throws {CorruptFileError} When a line breaks the format; line and file are named.
 * @example
 * ```ts
 * import { readPunkt, trainPunkt, writePunkt } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * const model = trainPunkt(["Mr. Hall left. The house was red."]);
 * writePunkt(folder, model);
 * assert.deepEqual(readPunkt(folder), model);
 * ```
 */
export function readPunkt(folder: string): PunktModel {
  return {
    abbreviations: new Set(lines(folder, FILES.abbreviations)),
    sentenceStarters: new Set(lines(folder, FILES.sentenceStarters)),
    collocations: new Set(
      lines(folder, FILES.collocations).map((line, index) => {
        if (!/^[^\t]+\t[^\t]+$/.test(line)) throw broken(folder, FILES.collocations, index, "type TAB type");
        return line;
      }),
    ),
    orthography: new Map(
      lines(folder, FILES.orthography).map((line, index): [string, number] => {
        const [, type = "", mask = ""] = /^([^\t]+)\t(\d+)$/.exec(line) ?? [];
        if (type === "") throw broken(folder, FILES.orthography, index, "type TAB number");
        return [type, Number(mask)];
      }),
    ),
  };
}

/**
 * Writes a folder of NLTK's `punkt_tab` format; NLTK reads it with `PunktTokenizer`.
 *
 * @param folder Made when missing.
 * @param model What `trainPunkt` gave.
 * @throws {Error} When the folder cannot be written.
 * @example
 * ```ts
 * import { trainPunkt, writePunkt } from "albert-guide";
 * import assert from "node:assert/strict";
 * import { mkdtempSync, readdirSync } from "node:fs";
 * import { tmpdir } from "node:os";
 *
 * const folder = mkdtempSync(`${tmpdir()}/albert-`);
 * writePunkt(folder, trainPunkt(["Mr. Hall left. The house was red."]));
 * assert.equal(readdirSync(folder).length, 4);
 * ```
 */
export function writePunkt(folder: string, model: PunktModel): void {
  const write = (name: string, rows: Iterable<string>): void => {
    const content = [...rows].map((row) => `${row}\n`).join("");
    writeFileAtomic(join(folder, name), content);
  };
  write(FILES.abbreviations, model.abbreviations);
  write(FILES.sentenceStarters, model.sentenceStarters);
  write(FILES.collocations, model.collocations);
  write(FILES.orthography, [...model.orthography].map(([type, mask]) => `${type}\t${mask}`));
}

function lines(folder: string, name: string): string[] {
  const path = join(folder, name);
  try {
    return readFileSync(path, "utf8").split("\n").map((line) => line.replace(/\r$/, "")).filter((line) =>
      line !== ""
    );
  } catch (error) {
    throw readError(path, error);
  }
}

function broken(folder: string, name: string, index: number, wished: string): CorruptFileError {
  const path = join(folder, name);
  return new CorruptFileError(`Cannot read line ${index + 1} of ${path}: it is not "${wished}"`, {
    path,
    record: index,
  });
}
