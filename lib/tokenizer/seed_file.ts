/**
 * Seed pieces from a file instead of the text: lines of piece, tab, frequency; what stands behind a further tab is a
 * remark (MakeSeedSentencePieces in unigram_model_trainer.cc, `seed_sentencepieces_file`).
 */
import { CorruptFileError } from "../formats/mod.ts";
import { readLines } from "./resolve_options.ts";

/** One line of the file. */
export type ListedSeed = {
  readonly piece: string;
  /** Characters of the piece. */
  readonly length: number;
  readonly frequency: number;
};

/**
 * Reads the file.
 *
 * @throws {CorruptFileError} Naming the line without a piece or a frequency from 1; spm_train dies there.
 */
export function readSeedFile(path: string): ListedSeed[] {
  return readLines(path, "seed_sentencepieces_file").map((line, k) => {
    const [piece = "", count = ""] = line.split("\t");
    if (piece === "" || !/^[0-9]{1,15}$/.test(count) || Number(count) === 0) {
      throw new CorruptFileError(
        `Cannot read the seed pieces of ${path}: line ${k + 1} is ${
          JSON.stringify(line)
        }, expected a piece, a tab and ` +
          "a whole frequency from 1",
        { path, record: k + 1 },
      );
    }
    return { piece, length: Array.from(piece).length, frequency: Number(count) };
  });
}
