/**
 * Text to pieces and back, as SentencePiece's encoders do it. Unigram: the best segmentation by summed scores, with
 * float32 sums, unknown characters ten below the worst score and user-defined symbols just below zero, so that ties and
 * near ties fall the same way (unigram_model.cc and sentencepiece_processor.cc).
 */
import { CorruptFileError } from "../formats/mod.ts";
import { parseCharsmap } from "./charsmap.ts";
import { makeDecoder } from "./decoder.ts";
import { type BpeSearch, makeBpeSearch } from "./bpe.ts";
import { parseModel, type Piece, type SentencePieceModel } from "./model_file.ts";
import { blankMark, makeNormalizer, type Normalizer } from "./normalizer.ts";
import { drawIndex, type Path } from "./segment_lattice.ts";
import { makeSegmentations } from "./segmentations.ts";
import type { EncodedPiece, SampleOptions, Segmentation, SentencePiece } from "./sentencepiece.ts";
import { makeSearch, type Search, type SearchOptions, type UnigramSearch } from "./viterbi.ts";
import { makeCharacterSearch, makeWordSearch } from "./whole_units.ts";

/**
 * How a tokenizer is loaded.
 *
 * @example
 * ```ts
 * import type { LoadOptions } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const options: LoadOptions = { path: "tokenizer.model", spm_version: "0.2.2" };
 * assert.equal(options.spm_version, "0.2.2");
 * ```
 */
export type LoadOptions = {
  /** File the bytes come from, named in errors. Default `"the model"`. */
  readonly path?: string;
  /**
   * Which SentencePiece decides between segmentations of equal score: 0.2.2 (and 0.2.3) orders the pieces of runs such as
   * `====` otherwise, and prefers longer user-defined symbols. Default `"0.2.0"`, the same as 0.1.97 to 0.2.1.
   */
  readonly spm_version?: "0.1.97" | "0.2.0" | "0.2.2";
};

/**
 * Loads a SentencePiece model of any type: unigram, BPE, word or char.
 *
 * @param model Content of a `.model` file.
 * @param options Name for errors, and whose tie-breaking to follow.
 * @returns The tokenizer.
 * @throws {CorruptFileError} When the bytes are not a usable SentencePiece model.
 * @example
 * ```ts
 * import { loadSentencePiece, trainUnigram } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const verses = Array.from({ length: 40 }, (_, i) => `the sea and the sand ${"abcdef"[i % 6]}`);
 * const { model } = await trainUnigram(verses, { vocab_size: 16, normalization_rule_name: "identity" });
 * const tokenizer = loadSentencePiece(model);
 * const ids = tokenizer.encodeIds("the sand");
 * assert.equal(tokenizer.decode(ids), "the sand");
 * assert.equal(tokenizer.encode("the sand").join(""), "▁the▁sand");
 * ```
 */
export function loadSentencePiece(model: Uint8Array, options: LoadOptions = {}): SentencePiece {
  const { path = "the model", spm_version = "0.2.0" } = options;
  const proto = parseModel(model, { path });
  const known = indexPieces(proto, path);
  const normalizer = modelNormalizer(proto, proto.normalizer_spec, path);
  const denormalize = makeDenormalizer(proto, path);
  const decode = makeDecoder(proto, { ...known, pieceOf: (id) => pieceOf(id) });
  const rules = { unkId: known.unkId, newer: spm_version === "0.2.2" };
  const search = searchOf(proto, rules, path);
  const { pieces } = proto;
  const pieceOf = (id: number): string => {
    const found = pieces[id];
    if (found === undefined) {
      throw new RangeError(`Cannot name piece ${id}: the vocabulary has ids 0 to ${pieces.length - 1}`);
    }
    return found.piece;
  };
  return {
    size: pieces.length,
    pieces,
    model: proto,
    spm_version,
    ...known,
    pieceOf,
    ...makeEncoder(proto, known, normalizer, { ...rules, search }),
    certainty: makeCertainty(proto, known, normalizer, search),
    decode: denormalize === undefined ? decode : (tokens) => denormalize(decode(tokens)),
    normalize: (text) => normalized(normalizer, text),
  };
}

type AnySearch = UnigramSearch | Search | BpeSearch;

/** Pieces by name. */
type Known = { readonly idOf: (piece: string) => number; readonly unkId: number };

type ModelType = "unigram" | "BPE" | "word" | "char";

function modelType({ trainer_spec }: SentencePieceModel): ModelType | undefined {
  return ([undefined, "unigram", "BPE", "word", "char"] as const)[Number(trainer_spec?.["model_type"] ?? 1)];
}

function searchOf(
  proto: SentencePieceModel,
  rules: SearchOptions,
  path: string,
): AnySearch {
  const { unkId } = rules;
  switch (modelType(proto)) {
    case "unigram":
      return makeSearch(proto.pieces, rules);
    case "BPE":
      return makeBpeSearch(proto.pieces, unkId);
    case "word":
      return makeWordSearch(proto.pieces, unkId);
    case "char":
      return makeCharacterSearch(proto.pieces, unkId);
    default:
      throw new CorruptFileError(
        `Cannot load ${path}: its model type is ${String(proto.trainer_spec?.["model_type"])}, ` +
          "known are 1 (unigram), 2 (BPE), 3 (word) and 4 (char)",
        { path },
      );
  }
}

/** A segmentation: piece k has `ids[k]` and ends before code point `ends[k]`. */
type Found = { readonly ids: ArrayLike<number>; readonly ends: ArrayLike<number>; readonly count: number };

/** The pieces of a segmentation; `visit` gets ranges of code points, runs of unknown characters as one. */
function eachToken(
  { ids, ends, count }: Found,
  { unkId, byteFallback }: { readonly unkId: number; readonly byteFallback: boolean },
  visit: (id: number, begin: number, end: number) => void,
): void {
  for (let k = 0, begin = 0; k < count; k++) {
    const id = ids[k] as number;
    // Where unknown characters are spelled in bytes, each stays on its own.
    if (id === unkId && !byteFallback) { while (k + 1 < count && ids[k + 1] === unkId) k++; }
    const end = ends[k] as number;
    visit(id, begin, end);
    begin = end;
  }
}

type Encoder = Pick<SentencePiece, "encode" | "encodeIds" | "encodeWithOffsets" | "nBest" | "sample">;

function makeEncoder(
  proto: SentencePieceModel,
  known: Known,
  normalizer: Normalizer,
  options: SearchOptions & { readonly search: AnySearch },
): Encoder {
  const { pieces } = proto;
  const { idOf, unkId } = known;
  const { search } = options;
  const byteFallback = proto.trainer_spec?.["byte_fallback"] === true;
  const tokens = { unkId, byteFallback };
  const bytes = byteFallback ? makeByteIds(known) : undefined;
  const surface = (begin: number, end: number): string => textOf(normalizer.codePoints(), begin, end);
  const run = (text: string) => {
    const length = normalizer.run(text); // before codePoints(): a run may replace the buffer
    const count = search.run(normalizer.codePoints(), length);
    return { ids: search.ids(), ends: search.ends(), count };
  };
  const names = (id: number, begin: number, end: number): readonly string[] =>
    id !== unkId
      ? [(pieces[id] as Piece).piece]
      : byteFallback
      ? byteNames(surface(begin, end))
      : [surface(begin, end)];
  const encodeWithOffsets = (text: string): EncodedPiece[] => {
    const out: EncodedPiece[] = [];
    eachToken(run(text), tokens, (id, begin, end) => {
      const starts = normalizer.starts();
      const [from, to] = [starts[begin] as number, starts[end] as number];
      const spelled = names(id, begin, end);
      // The last byte of an unknown character stands for it whole, the others for nothing.
      spelled.forEach((piece, k) => {
        const last = k === spelled.length - 1;
        out.push({
          piece,
          id: id === unkId && byteFallback ? idOf(piece) : id,
          begin: from,
          end: last ? to : from,
        });
      });
    });
    return out;
  };
  const encode = (text: string): string[] => {
    const out: string[] = [];
    eachToken(run(text), tokens, (id, begin, end) => {
      if (id !== unkId) out.push((pieces[id] as Piece).piece);
      else out.push(...names(id, begin, end));
    });
    return out;
  };
  const encodeIds = (text: string): Int32Array => {
    const { ids, count } = run(text);
    if (bytes !== undefined) {
      return bytes.spelled({ ids, ends: search.ends(), count }, normalizer.codePoints());
    }
    const out = new Int32Array(count);
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const id = ids[k] as number;
      if (id !== unkId || k === 0 || ids[k - 1] !== unkId) out[kept++] = id;
    }
    return kept === count ? out : out.slice(0, kept);
  };
  const segmentation = ({ ids, ends, score }: Path): Segmentation => {
    const out: string[] = [];
    const found: number[] = [];
    eachToken({ ids, ends, count: ids.length }, tokens, (id, begin, end) => {
      const spelled = names(id, begin, end);
      out.push(...spelled);
      found.push(...(id === unkId && byteFallback ? spelled.map(idOf) : [id]));
    });
    return { pieces: out, ids: Int32Array.from(found), score };
  };
  const best = (text: string): Omit<Path, "score"> => {
    const { ids, ends, count } = run(text);
    return { ids: Array.from(ids.subarray(0, count)), ends: Array.from(ends.subarray(0, count)) };
  };
  return {
    encode,
    encodeIds,
    encodeWithOffsets,
    ...makeMany(proto, options, normalizer, segmentation, best),
  };
}

/** `certainty` of a tokenizer: of unigram models whose pieces and rules never reach over a blank. */
function makeCertainty(
  { pieces, normalizer_spec = {}, trainer_spec }: SentencePieceModel,
  { idOf, unkId }: Known,
  normalizer: Normalizer,
  search: AnySearch,
): SentencePiece["certainty"] {
  const mark = String.fromCodePoint(blankMark);
  const usual = ["add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces"]
    .every((name) => normalizer_spec[name] !== false) &&
    trainer_spec?.["treat_whitespace_as_suffix"] !== true;
  const reaches = pieces.some(({ piece }) => piece.lastIndexOf(mark) > 0 || piece.includes(" "));
  if (!("certainty" in search) || !usual || reaches || idOf(mark) === unkId) return () => undefined;
  return (word) => {
    if (word.includes(" ") || word.includes(mark) || !normalizer.standsAlone(word)) return undefined;
    const length = normalizer.run(word);
    if (length === 0) return undefined;
    const codePoints = normalizer.codePoints();
    for (let at = 1; at < length; at++) if (codePoints[at] === blankMark) return undefined;
    const { count, limit, cost } = search.certainty(codePoints, length);
    return { ids: search.ids().slice(0, count), limit, cost };
  };
}

/** Several segmentations, or one at random. */
function makeMany(
  proto: SentencePieceModel,
  { search, ...rules }: SearchOptions & { readonly search: AnySearch },
  normalizer: Normalizer,
  segmentation: (path: Path) => Segmentation,
  best: (text: string) => Omit<Path, "score">,
): Pick<SentencePiece, "nBest" | "sample"> {
  const type = modelType(proto);
  let made: ReturnType<typeof makeSegmentations> | undefined;
  // Built at the first use: most users never ask for it.
  const lattice = (): ReturnType<typeof makeSegmentations> => made ??= makeSegmentations(proto.pieces, rules);
  const bestPath = (text: string): Path => {
    const { ids, ends } = best(text);
    return { ids, ends, score: type === "unigram" ? lattice().scoreOf(ids) : 0 };
  };
  const paths = (text: string, size: number): readonly Path[] => {
    if (type !== "unigram") {
      throw new TypeError(`Cannot list the best segmentations: a ${type} model has one, use a unigram model`);
    }
    if (!(Number.isInteger(size) && size >= 1 && size <= 1024)) {
      throw new RangeError(`Cannot list the ${size} best segmentations: the number must be 1 to 1024`);
    }
    const length = normalizer.run(text);
    return size === 1 || length === 0
      ? [bestPath(text)]
      : lattice().nBest(normalizer.codePoints(), length, size);
  };
  const sample = (text: string, { random, nbest_size = -1, alpha = 0.1 }: SampleOptions): Segmentation => {
    if (type === "word" || type === "char") {
      throw new TypeError(
        `Cannot sample: a ${type} model cuts a text in one way, use a unigram or BPE model`,
      );
    }
    if (!(Number.isInteger(nbest_size) && nbest_size >= -1 && nbest_size <= 512)) {
      throw new RangeError(`Cannot sample: nbest_size must be -1 (all) to 512, it is ${nbest_size}`);
    }
    if (!(alpha >= 0)) throw new RangeError(`Cannot sample: alpha must be 0 or more, it is ${alpha}`);
    const length = normalizer.run(text);
    if (length === 0) return segmentation(bestPath(text));
    const codePoints = normalizer.codePoints();
    if ("mergeAtRandom" in search) {
      return segmentation(search.mergeAtRandom(codePoints, length, alpha, random));
    }
    if (nbest_size === 0 || nbest_size === 1) return segmentation(bestPath(text));
    if (nbest_size < 0) return segmentation(lattice().sample(codePoints, length, alpha, random));
    const found = paths(text, nbest_size);
    const top = (found[0] as Path).score;
    return segmentation(
      found[drawIndex(found.map(({ score }) => Math.exp(alpha * (score - top))), random)] as Path,
    );
  };
  return { nBest: (text, size) => paths(text, size).map(segmentation), sample };
}

/** Text of a range of code points. */
function textOf(codePoints: Int32Array, begin: number, end: number): string {
  let out = "";
  for (let i = begin; i < end; i++) out += String.fromCodePoint(codePoints[i] as number);
  return out;
}

/** The ids of a segmentation with those of byte pieces for unknown characters. */
function makeByteIds({ idOf, unkId }: Known): {
  readonly spelled: (found: Found, codePoints: Int32Array) => Int32Array;
} {
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => idOf(byteName(byte)));
  const one = new Uint8Array(4);
  const encoder = new TextEncoder();
  return {
    spelled: ({ ids, ends, count }, codePoints) => {
      let unknown = 0;
      for (let k = 0; k < count; k++) {
        if (ids[k] === unkId) unknown += (ends[k] as number) - (k === 0 ? 0 : ends[k - 1] as number);
      }
      const out = new Int32Array(count + 4 * unknown); // enough; exact when nothing is unknown
      let size = 0;
      for (let k = 0; k < count; k++) {
        const id = ids[k] as number;
        if (id !== unkId) {
          out[size++] = id;
          continue;
        }
        for (let at = k === 0 ? 0 : ends[k - 1] as number; at < (ends[k] as number); at++) {
          const { written } = encoder.encodeInto(String.fromCodePoint(codePoints[at] as number), one);
          for (let b = 0; b < written; b++) out[size++] = byteIds[one[b] as number] as number;
        }
      }
      return size === out.length ? out : out.slice(0, size);
    },
  };
}

/** `<0xNN>` for every UTF-8 byte of a text. */
function byteNames(text: string): string[] {
  return Array.from(new TextEncoder().encode(text), byteName);
}

function byteName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** Piece -> id, and the checks SentencePiece makes on loading. */
function indexPieces(
  proto: SentencePieceModel,
  path: string,
): Known {
  const known = new Map<string, number>();
  let unkId = -1;
  proto.pieces.forEach(({ piece, type }, id) => {
    if (known.has(piece)) {
      throw new CorruptFileError(
        `Cannot load ${path}: piece "${piece}" has two ids, ${known.get(piece)} and ${id}`,
        {
          path,
          record: id,
        },
      );
    }
    known.set(piece, id);
    if (type === "unknown") unkId = id;
  });
  if (unkId < 0) {
    throw new CorruptFileError(`Cannot load ${path}: it has no unknown piece; train it with unk_id >= 0`, {
      path,
    });
  }
  return { idOf: (piece) => known.get(piece) ?? unkId, unkId };
}

function normalized(normalizer: Normalizer, text: string): string {
  const count = normalizer.run(text); // before codePoints(): a run may replace the buffer
  return textOf(normalizer.codePoints(), 0, count);
}

/** What rewrites decoded text; undefined when the model asks for nothing. */
function makeDenormalizer(proto: SentencePieceModel, path: string): ((text: string) => string) | undefined {
  const spec = proto.denormalizer_spec;
  const rules = spec?.["precompiled_charsmap"];
  if (!(rules instanceof Uint8Array) || rules.length === 0) return undefined;
  const normalizer = modelNormalizer({ pieces: [] }, spec, path);
  return (text) => normalized(normalizer, text);
}

/** The normalizer a specification asks for; absent settings have the defaults of the proto file. */
function modelNormalizer(
  proto: SentencePieceModel,
  spec: SentencePieceModel["normalizer_spec"] = {},
  path: string,
): Normalizer {
  const blob = spec["precompiled_charsmap"];
  let charsmap;
  try {
    charsmap = blob instanceof Uint8Array ? parseCharsmap(blob) : undefined;
  } catch (error) {
    throw new CorruptFileError(`Cannot load ${path}: ${(error as Error).message}`, { path });
  }
  return makeNormalizer({
    charsmap,
    addDummyPrefix: spec["add_dummy_prefix"] !== false,
    removeExtraWhitespaces: spec["remove_extra_whitespaces"] !== false,
    escapeWhitespaces: spec["escape_whitespaces"] !== false,
    treatWhitespaceAsSuffix: proto.trainer_spec?.["treat_whitespace_as_suffix"] === true,
    userDefinedSymbols: proto.pieces.filter((p) => p.type === "user_defined").map((p) => p.piece),
  });
}
