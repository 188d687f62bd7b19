/**
 * What both orders of record creation share: names of output files and what may be replaced, errors, and pauses.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { setImmediate } from "node:timers";
import { maskedCrc32c } from "../formats/mod.ts";
import type { RecordsConfig, RecordsTokenizer } from "./config.ts";
import { kindOfPath } from "./inputs.ts";

/** Output names of a comma list, checked; throws RangeError for what cannot or must not be written. */
export function outputNames(
  list: string,
  inputs: readonly string[],
  { overwrite = false }: { readonly overwrite?: boolean | undefined } = {},
): string[] {
  const names = list.split(",");
  const seen = new Set(inputs.map((path) => resolve(path)));
  for (const name of names) {
    if (name === "") {
      throw new RangeError(`Cannot write output_file: ${JSON.stringify(list)} names an empty path`);
    }
    if (seen.has(resolve(name))) {
      throw new RangeError(
        `Cannot write output_file: ${name} is an input or stands there twice; name another file`,
      );
    }
    if (kindOfPath(name) === "folder") {
      throw new RangeError(`Cannot write output_file: ${name} is a folder; name a file in it`);
    }
    if (!overwrite && kindOfPath(name) === "file" && !replaceable(name)) {
      throw new RangeError(
        `Cannot write output_file: ${name} exists and is no TFRecord file; name another file, or allow to replace it ` +
          "(--overwrite)",
      );
    }
    seen.add(resolve(name));
  }
  return names;
}

/** Whether a file is empty, compressed, or begins with a record: records can be made again, other files may not. */
function replaceable(path: string): boolean {
  const info = statSync(path);
  if (!info.isFile() || info.size === 0) return true;
  const head = new Uint8Array(12);
  const handle = openSync(path, "r");
  try {
    const count = readSync(handle, head, 0, 12, 0);
    if (head[0] === 0x1f && head[1] === 0x8b) return true;
    return count === 12 && new DataView(head.buffer).getUint32(8, true) === maskedCrc32c(head, 0, 8);
  } finally {
    closeSync(handle);
  }
}

/** The error of a corpus, or of a shard's part of it, without sentences. */
export function emptyCorpus(
  inputs: readonly string[],
  { shard_count, shard_index }: RecordsConfig,
): RangeError {
  const part = shard_count > 1 ? ` for shard ${shard_index} of ${shard_count}` : "";
  return new RangeError(
    `Cannot create records: no document with a sentence in ${inputs.join(", ")}${part}; ` +
      "a raw file has one sentence a line and a blank line between documents",
  );
}

/** Lets timers and signals through when the last time was long ago. */
export function breather(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    const now = performance.now();
    if (now - last < 40) return undefined;
    last = now;
    return new Promise((done, stop) => setImmediate(() => signal?.aborted ? stop(signal.reason) : done()));
  };
}

/** Refuses a tokenizer without the pieces that every sequence needs: the original would write unknown pieces. */
export function checkTokenizer(
  tokenizer: RecordsTokenizer,
  { input_file_mode }: Pick<RecordsConfig, "input_file_mode">,
): void {
  if (input_file_mode === "rb" && tokenizer.style !== "wordpiece") {
    throw new RangeError(
      "Cannot create records: input_file_mode rb works with a WordPiece vocabulary alone (the reference dies of it with a " +
        "SentencePiece model); leave it away",
    );
  }
  const missing = ["[CLS]", "[SEP]", "[MASK]"].filter((piece) =>
    tokenizer.pieceOf(tokenizer.idOf(piece)) !== piece
  );
  if (missing.length === 0) return;
  throw new RangeError(
    `Cannot create records: the tokenizer has no ${missing.join(", ")}; train it with ` +
      "--control_symbols=[CLS],[SEP],[MASK], or add them to the WordPiece vocabulary",
  );
}

/** What is allowed but rarely wished, a line each. */
export function warnings(
  { documents, sentences, long, cuts = 0 }: {
    readonly documents: number;
    readonly sentences: number;
    readonly long: number;
    readonly cuts?: number;
  },
  { max_seq_length, block_bytes }: RecordsConfig,
): string[] {
  const lines: string[] = [];
  if (documents - cuts === 1 && sentences > 1) {
    lines.push(
      `no blank line between sentences: all ${sentences} are one document, so pairs of segments cross its real borders and ` +
        "random partners come from the same document; put a blank line between documents",
    );
  }
  if (cuts > 0) {
    lines.push(
      `${cuts} cuts inside documents longer than ${
        4 * block_bytes
      } bytes; raise --block_bytes to keep them whole`,
    );
  }
  if (long > 0) {
    lines.push(
      `${long} of ${sentences} sentences have more than ${
        max_seq_length - 3
      } pieces and lose some in every record; ` +
        "raise --max_seq_length or split them",
    );
  }
  return lines;
}
