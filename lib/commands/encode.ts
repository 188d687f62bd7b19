/**
 * `albert encode` and `albert decode`, as spm_encode and spm_decode: text files to pieces or ids, line by line, and back.
 * One block of lines is in memory at a time.
 */
import { once } from "node:events";
import process from "node:process";
import { openAtomic } from "../formats/mod.ts";
import { pythonRandom } from "../random.ts";
import { readLines } from "../text/mod.ts";
import { loadSentencePiece, type SentencePiece } from "../tokenizer/mod.ts";
import { type Command, command, type Context, UsageError } from "./command.ts";
import { checkFile, readInput } from "./files.ts";

/** Where lines go: a file that appears when it is whole, or standard output, waiting for who reads it. */
type Sink = {
  readonly write: (lines: readonly string[]) => Promise<void>;
  readonly commit: () => void;
  readonly discard: () => void;
};

function openSink(path: string | undefined): Sink {
  if (path === undefined) {
    return {
      write: async (lines) => {
        if (!process.stdout.write(lines.map((line) => `${line}\n`).join(""))) {
          await once(process.stdout, "drain");
        }
      },
      commit: () => {},
      discard: () => {},
    };
  }
  const file = openAtomic(path);
  const encoder = new TextEncoder();
  return {
    write: (lines) => Promise.resolve(file.write(encoder.encode(lines.map((line) => `${line}\n`).join("")))),
    commit: file.commit,
    discard: file.discard,
  };
}

/** Applies a function to each line of the inputs; it gives the lines to write. */
async function eachLine(
  { input, output }: { readonly input: string; readonly output: string | undefined },
  { onProgress, endProgress, signal }: Context,
  convert: (line: string, place: string) => readonly string[],
): Promise<void> {
  const paths = input.split(",");
  for (const path of paths) if (path !== "-") checkFile(path, "text file");
  const sink = openSink(output);
  let done = 0;
  try {
    for (const path of paths) {
      let number = 0;
      for await (const lines of readLines(path, (bytes) => done += bytes)) {
        signal.throwIfAborted();
        await sink.write(lines.flatMap((line) => convert(line, `line ${++number} of ${path}`)));
        if (output !== undefined) {
          onProgress({ stage: "lines", done, unit: "bytes", note: `${number} lines` });
        }
      }
    }
    sink.commit();
  } finally {
    sink.discard();
  }
  await endProgress();
}

const files = {
  model: { kind: "string", required: true, help: "the .model file", source: "spm_encode" },
  input: { kind: "string", default: "-", help: "text by comma, also .gz and .zst; - is standard input" },
  output: { kind: "string", help: "the file to write; default standard output" },
  spm_version: {
    kind: "string",
    choices: ["0.1.97", "0.2.0", "0.2.2"],
    default: "0.2.0",
    help: "whose order of equal segmentations to follow",
  },
} as const;

const open = (path: string, spm_version: string): SentencePiece =>
  loadSentencePiece(readInput(path, "tokenizer"), { path, spm_version: spm_version as "0.2.0" });

/** How `albert encode` writes a line. */
function lineEncoder(
  { encode, encodeIds, nBest, sample }: SentencePiece,
  { output_format, nbest_size, alpha, random_seed }: {
    readonly output_format: string;
    readonly nbest_size: number;
    readonly alpha: number;
    readonly random_seed: number;
  },
): (line: string) => readonly string[] {
  const { random } = pythonRandom(random_seed);
  switch (output_format) {
    case "piece":
      return (line) => [encode(line).join(" ")];
    case "id":
      return (line) => [encodeIds(line).join(" ")];
    case "nbest_piece":
      return (line) => nBest(line, nbest_size).map(({ pieces }) => pieces.join(" "));
    case "nbest_id":
      return (line) => nBest(line, nbest_size).map(({ ids }) => ids.join(" "));
    case "sample_piece":
      return (line) => [sample(line, { random, nbest_size, alpha }).pieces.join(" ")];
    default:
      return (line) => [sample(line, { random, nbest_size, alpha }).ids.join(" ")];
  }
}

/** Text to pieces. */
export const encode: Command = command({
  name: "encode",
  aliases: ["spm_encode"],
  summary: "Cut text into the pieces of a SentencePiece model, line by line.",
  example:
    "deno task albert encode --model=build/tokenizer.model --input=build/raw.txt --output=build/ids.txt " +
    "--output_format=id",
  flags: {
    ...files,
    output_format: {
      kind: "string",
      choices: ["piece", "id", "nbest_piece", "nbest_id", "sample_piece", "sample_id"],
      default: "piece",
      help: "what to write for a line; nbest: a line each",
      source: "spm_encode",
    },
    nbest_size: {
      kind: "int",
      default: 10,
      help: "how many best ones, or to draw from; sample: -1 from all",
      source: "spm_encode",
    },
    alpha: { kind: "float", default: 0.5, help: "sharpness of the sampling", source: "spm_encode" },
    random_seed: { kind: "int", default: 12345, help: "seed of the sampling" },
  },
  run: async ({ model, input, output, spm_version, ...how }, _, context) => {
    const convert = lineEncoder(open(model, spm_version), how);
    await eachLine({ input, output }, context, convert);
  },
});

/** Pieces to text. */
export const decode: Command = command({
  name: "decode",
  aliases: ["spm_decode"],
  summary: "Make text of pieces or ids, line by line.",
  example: "deno task albert decode --model=build/tokenizer.model --input=build/ids.txt --input_format=id",
  flags: {
    ...files,
    input_format: {
      kind: "string",
      choices: ["piece", "id"],
      default: "piece",
      help: "what a line holds, parted by spaces",
      source: "spm_decode",
    },
  },
  run: async ({ model, input, output, spm_version, input_format }, _, context) => {
    const { decode, size } = open(model, spm_version);
    await eachLine({ input, output }, context, (line, place) => {
      const tokens = line.split(" ").filter((token) => token !== "");
      if (input_format === "piece") return [decode(tokens)];
      const wrong = tokens.find((token) => !(/^\d+$/.test(token) && Number(token) < size));
      if (wrong === undefined) return [decode(tokens.map(Number))];
      throw new UsageError(`Cannot decode ${place}: "${wrong}" is no id, ids are 0 to ${size - 1}`);
    });
  },
});
