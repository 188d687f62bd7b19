/**
 * Text to pieces and back, as SentencePiece's default encoder does it: the best segmentation by summed scores, with
 * float32 sums, unknown characters ten below the worst score and user-defined symbols just below zero, so that ties and
 * near ties fall the same way (unigram_model.cc and sentencepiece_processor.cc).
 */
import { CorruptFileError } from "../formats/mod.ts";
import { parseCharsmap } from "./charsmap.ts";
import { makeDecoder } from "./decoder.ts";
import { parseModel, type Piece, type SentencePieceModel } from "./model_file.ts";
import { makeNormalizer, type Normalizer } from "./normalizer.ts";
import { makeSearch } from "./viterbi.ts";

/**
 * One piece of an encoded text with its place.
 *
 * @example
 * ```ts
 * import type { EncodedPiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const piece: EncodedPiece = { piece: "▁the", id: 15, begin: 0, end: 3 };
 * assert.equal("the sea".slice(piece.begin, piece.end), "the");
 * ```
 */
export type EncodedPiece = {
  /** Normalized text of the piece; for an unknown run the characters themselves. */
  readonly piece: string;
  /** Its id. */
  readonly id: number;
  /** Where it begins in the text given, in UTF-16 units. */
  readonly begin: number;
  /** Where it ends in the text given, in UTF-16 units. */
  readonly end: number;
};

/**
 * A loaded tokenizer. Its functions are synchronous and can be taken out of the object.
 *
 * @example
 * ```ts
 * import { loadSentencePiece, serializeModel } from "albert-guide";
 * import type { SentencePiece } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const tokenizer: SentencePiece = loadSentencePiece(serializeModel({
 *   pieces: [
 *     { piece: "<unk>", score: 0, type: "unknown" },
 *     { piece: "▁a", score: -1, type: "normal" },
 *     { piece: "b", score: -2, type: "normal" },
 *   ],
 * }));
 * assert.deepEqual(tokenizer.encode("a ab"), ["▁a", "▁a", "b"]);
 * ```
 */
export type SentencePiece = {
  /** Number of pieces: ids are 0 to size - 1. */
  readonly size: number;
  /** The vocabulary in id order. */
  readonly pieces: readonly Piece[];
  /** Id of the unknown piece. */
  readonly unkId: number;
  /** The model as read from the file. */
  readonly model: SentencePieceModel;
  /** Id of a piece; the id of the unknown piece when there is none of that text. */
  readonly idOf: (piece: string) => number;
  /** Text of the piece with this id; throws a RangeError for an id outside the vocabulary. */
  readonly pieceOf: (id: number) => string;
  /** Text to pieces. */
  readonly encode: (text: string) => string[];
  /** Text to ids. */
  readonly encodeIds: (text: string) => Int32Array;
  /** Text to pieces with ids and places. */
  readonly encodeWithOffsets: (text: string) => EncodedPiece[];
  /** Ids or pieces to text. */
  readonly decode: (tokens: ArrayLike<number> | readonly string[]) => string;
  /** What the encoder segments: rewritten text with U+2581 for blanks. */
  readonly normalize: (text: string) => string;
};

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
   * Which SentencePiece decides between segmentations of equal score: 0.2.2 orders the pieces of runs such as `====`
   * otherwise. Default `"0.2.0"`, the same as 0.1.97.
   */
  readonly spm_version?: "0.1.97" | "0.2.0" | "0.2.2";
};

/**
 * Loads a unigram SentencePiece model.
 *
 * @param model Content of a `.model` file.
 * @param options Name for errors, and whose tie-breaking to follow.
 * @returns The tokenizer.
 * @throws {CorruptFileError} When the bytes are not a usable SentencePiece model.
 * @throws {TypeError} When the model is of another type (BPE, word, char).
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
  const { idOf, unkId } = indexPieces(proto, path);
  const normalizer = modelNormalizer(proto, path);
  const search = makeSearch(proto.pieces, { unkId, roundFirst: spm_version === "0.2.2" });
  const { pieces } = proto;
  const byteFallback = proto.trainer_spec?.["byte_fallback"] === true;

  const walk = (text: string, visit: (id: number, begin: number, end: number) => void): void => {
    const length = normalizer.run(text); // before codePoints(): a run may replace the buffer
    const count = search.run(normalizer.codePoints(), length);
    const ids = search.ids();
    const ends = search.ends();
    for (let k = 0, begin = 0; k < count; k++) {
      const id = ids[k] as number;
      // A run of unknown characters is one token, unless each is spelled in bytes.
      if (id === unkId && !byteFallback) { while (k + 1 < count && ids[k + 1] === unkId) k++; }
      const end = ends[k] as number;
      visit(id, begin, end);
      begin = end;
    }
  };
  const surface = (begin: number, end: number): string => textOf(normalizer.codePoints(), begin, end);
  const encodeWithOffsets = (text: string): EncodedPiece[] => {
    const out: EncodedPiece[] = [];
    walk(text, (id, begin, end) => {
      const starts = normalizer.starts();
      const from = starts[begin] as number;
      const to = starts[end] as number;
      if (id !== unkId) out.push({ piece: (pieces[id] as Piece).piece, id, begin: from, end: to });
      else if (!byteFallback) out.push({ piece: surface(begin, end), id, begin: from, end: to });
      else {
        const names = byteNames(surface(begin, end));
        // The last byte stands for the whole character, the others for nothing.
        names.forEach((piece, k) => {
          out.push({ piece, id: idOf(piece), begin: from, end: k === names.length - 1 ? to : from });
        });
      }
    });
    return out;
  };
  const encode = (text: string): string[] => {
    const out: string[] = [];
    walk(text, (id, begin, end) => {
      if (id !== unkId) out.push((pieces[id] as Piece).piece);
      else if (!byteFallback) out.push(surface(begin, end));
      else out.push(...byteNames(surface(begin, end)));
    });
    return out;
  };
  const encodeIds = (text: string): Int32Array => {
    if (byteFallback) return Int32Array.from(encode(text), idOf);
    const length = normalizer.run(text);
    const count = search.run(normalizer.codePoints(), length);
    const ids = search.ids();
    const out = new Int32Array(count);
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const id = ids[k] as number;
      if (id !== unkId || k === 0 || ids[k - 1] !== unkId) out[kept++] = id;
    }
    return kept === count ? out : out.slice(0, kept);
  };
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
    unkId,
    model: proto,
    idOf,
    pieceOf,
    encode,
    encodeIds,
    encodeWithOffsets,
    decode: makeDecoder(proto, { idOf, unkId, pieceOf }),
    normalize: (text) => {
      const count = normalizer.run(text);
      return surface(0, count);
    },
  };
}

/** Text of a range of code points. */
function textOf(codePoints: Int32Array, begin: number, end: number): string {
  let out = "";
  for (let i = begin; i < end; i++) out += String.fromCodePoint(codePoints[i] as number);
  return out;
}

/** `<0xNN>` for every UTF-8 byte of a text. */
function byteNames(text: string): string[] {
  return Array.from(
    new TextEncoder().encode(text),
    (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
}

/** Piece -> id, and the checks SentencePiece makes on loading. */
function indexPieces(
  proto: SentencePieceModel,
  path: string,
): { idOf: (piece: string) => number; unkId: number } {
  const type = proto.trainer_spec?.["model_type"] ?? 1;
  if (type !== 1) {
    const name = ["", "unigram", "BPE", "word", "char"][Number(type)] ?? String(type);
    throw new TypeError(`Cannot load ${path}: its type is ${name}, only unigram models are supported`);
  }
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

/** The normalizer a model asks for; absent settings have the defaults of the proto file. */
function modelNormalizer(proto: SentencePieceModel, path: string): Normalizer {
  const spec = proto.normalizer_spec ?? {};
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
