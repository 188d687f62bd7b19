/**
 * The training text: read, skipped, sampled, normalized, with meta pieces cut out, and kept as symbol numbers in one typed
 * array outside the heap (trainer_interface.cc, LoadSentences).
 */
import { numpyRandom } from "../random.ts";
import { metaMatcher, type MetaPieces } from "./meta_pieces.ts";
import type { Normalizer } from "./normalizer.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Pace } from "./pace.ts";
import { makeSymbolWriter, type SymbolText } from "./symbol_text.ts";
import { utf8Length } from "./utf8.ts";

/** What stands for a meta piece inside a sentence, as in spm_train. */
export const metaBoundary = 0x09;
/** What stands for a character outside the alphabet; lines that hold it are skipped. */
export const rareCharacter = 0x2585;

/** Normalized sentences, in training order. */
export type Corpus = SymbolText & {
  /** Frequency of each sentence, where it is not 1: with `input_format: "tsv"` or noise. */
  readonly frequencies?: readonly number[];
  /** Sentences as they stood in the text, for the model's test of itself. */
  readonly samples: readonly string[];
  /** Lines seen, and why some were left out. */
  readonly counts: {
    readonly lines: number;
    readonly empty: number;
    readonly tooLong: number;
    readonly reserved: number;
    readonly sentences: number;
  };
};

/** What a corpus is collected with. */
export type CollectOptions = {
  readonly flags: ResolvedOptions;
  readonly meta: MetaPieces;
  readonly normalizer: Normalizer;
  readonly pace: Pace;
  readonly transform?: ((line: string) => string) | undefined;
  readonly report: (done: number) => void;
};

/** Collects the training text. */
export async function collectCorpus(
  lines: Iterable<string> | AsyncIterable<string>,
  options: CollectOptions,
): Promise<Corpus> {
  const { flags, pace, transform, report } = options;
  const store = sentenceStore(options);
  const limit = flags.input_sentence_size;
  const drawer = flags.spm_version === "0.2.0" ? reservoirQuotient : reservoirDraw;
  const draw = limit > 0 && flags.shuffle_input_sentence ? drawer(12345678) : undefined;
  const sampler = reservoir(flags.self_test_sample_size, drawer(flags.random_seed));
  const counts = { lines: 0, empty: 0, tooLong: 0, reserved: 0, sentences: 0 };
  const take = (raw: string): boolean => {
    counts.lines++;
    let line = transform === undefined ? raw : transform(raw);
    let frequency = 1;
    if (flags.input_format === "tsv") [line, frequency] = splitTsv(line, counts.lines);
    if (line === "") counts.empty++;
    else if (3 * line.length > flags.max_sentence_length && utf8Length(line) > flags.max_sentence_length) {
      counts.tooLong++;
    } else if (line.includes("\u2585")) counts.reserved++;
    else {
      counts.sentences++;
      sampler.add(line);
      if (limit === 0 || counts.sentences <= limit) store.append(line, frequency);
      else if (draw === undefined) return false;
      else {
        const slot = draw(counts.sentences);
        if (slot < limit) store.replace(slot, line, frequency);
      }
    }
    return true;
  };
  const rest = async (): Promise<void> => {
    report(counts.lines);
    await pace.rest();
  };
  if (Symbol.asyncIterator in lines) {
    for await (const line of lines) {
      if (!take(line)) break;
      if (pace.due()) await rest();
    }
  } else {
    for (const line of lines) {
      if (!take(line)) break;
      if ((counts.lines & 63) === 0 && pace.due()) await rest();
    }
  }
  report(counts.lines);
  return { ...store.finish(), samples: sampler.sample, counts };
}

/** A line that is no sentence with its frequency. */
export class TsvError extends SyntaxError {
  override readonly name = "SyntaxError";
  /** @param line Its number in `place`, from 1. */
  constructor(place: string, readonly line: number) {
    super(
      `Cannot train the tokenizer on ${place}: line ${line} is no tsv, ` +
        "expected a sentence, one tab and a whole frequency from 1",
    );
  }
}

function splitTsv(line: string, number: number): [string, number] {
  const fields = line.split("\t");
  const frequency = Number(fields[1]);
  if (fields.length !== 2 || !Number.isInteger(frequency) || frequency < 1) {
    throw new TsvError("the lines", number);
  }
  return [fields[0] as string, frequency];
}

/** Uniform draws in 0 to t - 1 as std::mt19937 and libstdc++ 11 make them (Lemire's method). */
export function reservoirDraw(seed: number): (t: number) => number {
  const { u32 } = numpyRandom(seed);
  return (t) => {
    const range = BigInt(t);
    let product = BigInt(u32()) * range;
    let low = Number(product & 0xffffffffn);
    if (low < t) {
      const threshold = (2 ** 32 - t) % t;
      while (low < threshold) {
        product = BigInt(u32()) * range;
        low = Number(product & 0xffffffffn);
      }
    }
    return Number(product >> 32n);
  };
}

/** Uniform draws in 0 to t - 1 as libstdc++ before 11 makes them, with which the wheel of 0.2.0 is built. */
export function reservoirQuotient(seed: number): (t: number) => number {
  const { u32 } = numpyRandom(seed);
  return (t) => {
    const share = Math.floor((2 ** 32 - 1) / t);
    let drawn = u32();
    while (drawn >= share * t) drawn = u32();
    return Math.floor(drawn / share);
  };
}

/** A sample of so many lines, each equally likely (ReservoirSampler in util.h). */
function reservoir(
  size: number,
  draw: (t: number) => number,
): { readonly add: (line: string) => void; readonly sample: readonly string[] } {
  const sample: string[] = [];
  let seen = 0;
  return {
    sample,
    add: (line) => {
      if (size === 0) return;
      seen++;
      if (sample.length < size) {
        sample.push(line);
        return;
      }
      const slot = draw(seen);
      if (slot < sample.length) sample[slot] = line;
    },
  };
}

/** Keeps normalized sentences. */
function sentenceStore({ flags, meta, normalizer }: CollectOptions): {
  append: (line: string, frequency: number) => void;
  replace: (slot: number, line: string, frequency: number) => void;
  finish: () => SymbolText & Pick<Corpus, "frequencies">;
} {
  const match = metaMatcher(meta);
  const { put, append, replace, finish } = makeSymbolWriter();
  const frequencies: number[] = [];
  const write = (line: string): void => {
    const count = normalizer.run(line);
    const codePoints = normalizer.codePoints();
    for (let i = 0; i < count;) {
      const length = match(codePoints, i, count);
      if (length > 0) {
        put(metaBoundary);
        i += length;
        continue;
      }
      const cp = codePoints[i++] as number;
      if (cp === 0x20) throw new Error("Cannot train the tokenizer: a blank is left after normalization");
      put(cp);
    }
  };
  return {
    append: (line, frequency) => {
      write(line);
      append();
      if (flags.input_format === "tsv") frequencies.push(frequency);
    },
    replace: (slot, line, frequency) => {
      write(line);
      replace(slot);
      if (flags.input_format === "tsv") frequencies[slot] = frequency;
    },
    finish: () => {
      const all = finish();
      const bounds = dropEmpty(all.bounds, frequencies);
      return { ...all, bounds, ...(frequencies.length > 0 ? { frequencies } : {}) };
    },
  };
}

/** Drops empty sentences as spm_train does: the last one takes the place and is not looked at again. */
function dropEmpty(bounds: Int32Array, frequencies: number[]): Int32Array {
  let count = bounds.length / 2;
  for (let i = 0; i < count; i++) {
    if (bounds[2 * i] !== bounds[2 * i + 1]) continue;
    count--;
    const frequency = frequencies.pop();
    if (i === count) break;
    bounds[2 * i] = bounds[2 * count] as number;
    bounds[2 * i + 1] = bounds[2 * count + 1] as number;
    if (frequency !== undefined) frequencies[i] = frequency;
  }
  return bounds.subarray(0, 2 * count);
}
