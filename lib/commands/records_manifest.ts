/**
 * What the manifests beside record files say, held against a run before its first step: lengths, sizes, vocabulary and
 * tokenizer. Records without a manifest, such as the reference's, pass; their own checks come when they are read.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { piecesHash, readManifest, type RecordsManifest } from "../records/mod.ts";
import { loadSentencePiece } from "../tokenizer/mod.ts";

type Manifest = RecordsManifest & {
  readonly flags: {
    readonly max_seq_length: number;
    readonly max_predictions_per_seq: number;
    readonly do_permutation?: boolean;
    readonly do_lower_case?: boolean;
  };
  readonly tokenizer: {
    readonly size: number;
    readonly pieces_sha256: string;
    readonly model_sha256: string | null;
  };
};

/** A tokenizer file as the flags name it. */
export type TokenizerFile = { readonly path: string; readonly bytes: Uint8Array };

/** What must fit the records. */
export type Wishes = {
  readonly max_seq_length: number;
  readonly max_predictions_per_seq: number;
  /** Rows of the word table. */
  readonly vocabSize: number;
  readonly tokenizer?: TokenizerFile | undefined;
};

/** What the manifests said: SHA-256 of the tokenizer and of all records together; nothing where one has no manifest. */
export type RecordHashes = { readonly tokenizer?: string; readonly records?: string };

const sha256 = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

/** The manifest beside a record file that names it, and where it is; its own first, then those of other outputs. */
export function manifestOf(path: string): { readonly file: string; readonly manifest: Manifest } | undefined {
  const folder = dirname(path);
  const named = `${path}.manifest.json`;
  const others = readdirSync(folder).filter((name) => name.endsWith(".manifest.json")).map((name) =>
    join(folder, name)
  );
  for (const file of existsSync(named) ? [named, ...others] : others) {
    try {
      const manifest = readManifest(file) as Manifest;
      if (manifest.outputs.some((output) => basename(output.path) === basename(path))) {
        return { file, manifest };
      }
    } catch {
      // Not a manifest of records; the records themselves are still checked when they are read.
    }
  }
  return undefined;
}

function checkTokenizer(path: string, made: Manifest["tokenizer"], { vocabSize, tokenizer }: Wishes): void {
  if (made.size > vocabSize) {
    throw new RangeError(
      `Cannot use the records ${path}: their tokenizer has ${made.size} pieces, the model's vocab_size is ${vocabSize}; ` +
        "take the config or the preset that fits, or make the records with the smaller tokenizer",
    );
  }
  if (tokenizer === undefined) return;
  const [found, expected] = made.model_sha256 === null
    ? [piecesHash(loadSentencePiece(tokenizer.bytes, tokenizer)), made.pieces_sha256]
    : [sha256(tokenizer.bytes), made.model_sha256];
  if (found === expected) return;
  throw new RangeError(
    `Cannot use the tokenizer ${tokenizer.path}: its SHA-256 is ${found}, the records ${path} were made with ${expected}; ` +
      "give the tokenizer of the records as --spm_model_file, or make the records again",
  );
}

function checkLengths(path: string, made: Manifest["flags"], wishes: Wishes): void {
  const lengths = {
    max_seq_length: made.max_seq_length,
    // Exchanged pieces are predicted beside the masked ones.
    max_predictions_per_seq: made.max_predictions_per_seq * (made.do_permutation === true ? 2 : 1),
  };
  const wrong = (["max_seq_length", "max_predictions_per_seq"] as const).filter((flag) =>
    lengths[flag] !== wishes[flag]
  );
  if (wrong.length === 0) return;
  throw new RangeError(
    `Cannot use the records ${path}: they were made with ` +
      `${wrong.map((flag) => `${flag} ${lengths[flag]}, this run says ${wishes[flag]}`).join("; with ")}; ` +
      `give ${wrong.map((flag) => `--${flag}=${lengths[flag]}`).join(" ")}, or make the records again`,
  );
}

/** Whether the text of records was lower-cased, as the first manifest beside them says; undefined without one. */
export function lowerCased(paths: readonly string[]): boolean | undefined {
  for (const path of paths) {
    const { do_lower_case } = manifestOf(path)?.manifest.flags ?? {};
    if (do_lower_case !== undefined) return do_lower_case;
  }
  return undefined;
}

/** Files that no manifest vouches for: their frames have to be walked to find damage. */
export function unvouched(paths: readonly string[]): string[] {
  return paths.filter((path) =>
    manifestOf(path)?.manifest.outputs.some((one) => basename(one.path) === basename(path)) !== true
  );
}

/** Checks the manifests of record files; the first thing that does not fit is named with its file. */
export function checkRecords(paths: readonly string[], wishes: Wishes): RecordHashes {
  const data: string[] = [];
  let tokenizer: string | undefined;
  let of = "";
  for (const path of paths) {
    const found = manifestOf(path);
    if (found === undefined) continue;
    const { manifest: { flags, tokenizer: made, outputs }, file } = found;
    checkLengths(path, flags, wishes);
    const output = outputs.find((one) => basename(one.path) === basename(path));
    const { size } = statSync(path);
    if (output !== undefined && output.bytes !== size) {
      throw new RangeError(
        `Cannot use the records ${path}: the file has ${size} bytes, its manifest ${file} says ${output.bytes}; ` +
          "copy it again or make the records again",
      );
    }
    checkTokenizer(path, made, wishes);
    if (tokenizer !== undefined && tokenizer !== made.pieces_sha256) {
      throw new RangeError(
        `Cannot use the records ${path} beside ${of}: they were made with another tokenizer; make them again with one`,
      );
    }
    [tokenizer, of] = [made.pieces_sha256, path];
    data.push(output?.sha256 ?? "");
  }
  return {
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(data.length === paths.length ? { records: sha256(data.join("\n")) } : {}),
  };
}
