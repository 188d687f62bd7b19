/**
 * What the tests of `albert pretrain` share: a folder of their own, a raw file of eight letters as words with a tokenizer
 * for it, and a command run in this process.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands, parseArguments } from "../../lib/commands/mod.ts";
import { createRecords, type RecordsOptions } from "../../lib/records/mod.ts";
import { serializeModel } from "../../lib/tokenizer/mod.ts";

/** Removed when the tests of the file that asked for it are through. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "albert-"));
  addEventListener("unload", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The pieces of `tokenizer`; [MASK] is 4. */
export const pieces: readonly string[] = [
  "<pad>",
  "<unk>",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  ...[..."abcdefgh"].map((letter) => `▁${letter}`),
];

/** One piece for each letter. */
export const tokenizer: RecordsOptions["tokenizer"] = {
  size: pieces.length,
  idOf: (piece: string): number => pieces.indexOf(piece),
  pieceOf: (id: number): string => pieces[id] ?? "",
  encode: (text: string): string[] => text.split(" ").map((word) => `▁${word}`),
};

/** The file of a tokenizer with these pieces: padding, the unknown piece, three of control, then words. */
export function modelOf(pieces: readonly string[]): Uint8Array {
  return serializeModel({
    pieces: pieces.map((piece, i) => ({
      piece,
      score: -i,
      type: i === 1 ? "unknown" : i < 5 ? "control" : "normal",
    })),
    trainer_spec: {
      ...{ model_type: 1, vocab_size: pieces.length },
      ...{ unk_id: 1, bos_id: -1, eos_id: -1, pad_id: 0 },
    },
    normalizer_spec: {
      name: "identity",
      add_dummy_prefix: true,
      remove_extra_whitespaces: true,
      escape_whitespaces: true,
    },
  });
}

/** Writes `raw.txt`: two documents, as often as asked for. */
export function writeLetters(folder: string, times: number): void {
  writeFileSync(join(folder, "raw.txt"), "a b c\nb a d e\nf g\n\nb h\na a c\nd e f\n".repeat(times));
}

/** Makes `<name>.tfrecord` from `raw.txt`: at most 12 pieces and 2 predictions, unless told otherwise. */
export async function makeRecords(
  folder: string,
  name: string,
  options: Partial<RecordsOptions> = {},
): Promise<void> {
  await createRecords({
    input_file: join(folder, "raw.txt"),
    output_file: join(folder, `${name}.tfrecord`),
    tokenizer,
    max_seq_length: 12,
    max_predictions_per_seq: 2,
    ...options,
  });
}

/** Runs a command and gives the lines that it printed, each told at once. */
export async function runCommand(
  name: string,
  args: readonly string[],
  told: (line: string) => void = () => {},
): Promise<string[]> {
  const [command] = await commands(name);
  assert.ok(command);
  const printed: string[] = [];
  const { values, positionals } = parseArguments(command, args);
  await command.run(values, positionals, {
    print: (line = "") => {
      printed.push(line);
      told(line);
    },
    onProgress: () => {},
    endProgress: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return printed;
}
