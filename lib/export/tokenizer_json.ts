/**
 * `tokenizer.json` and its two companions, from a SentencePiece model: what Hugging Face's tokenizers need to cut text into
 * the pieces of training. Facts: the file format of huggingface/tokenizers and transformers' AlbertTokenizer.
 *
 * User-defined pieces stay in the vocabulary, since as added tokens they would cut the text before the model sees it; pieces
 * of digits and a comma are made unlikely, which gives ALBERT's rule that the comma is a piece of its own. The class is
 * `PreTrainedTokenizerFast`, which takes the file as it is: `AlbertTokenizer` would rebuild it, put a blank behind every
 * [MASK], turn two apostrophes into a quotation mark and leave out the segment ids.
 */
import { Buffer } from "node:buffer";
import { combiningMarkClass } from "../text/mod.ts";
import type { SentencePieceModel } from "../tokenizer/mod.ts";

/** How text was prepared for training. */
export type Preparation = {
  /** The text was lower-cased. */
  readonly doLowerCase: boolean;
  /** Accents were kept. */
  readonly keepAccents: boolean;
  /** Longest sequence in pieces. */
  readonly maxLength: number;
};

/** The seven special pieces by their role. */
export const specials = {
  bos_token: "[CLS]",
  eos_token: "[SEP]",
  unk_token: "<unk>",
  sep_token: "[SEP]",
  pad_token: "<pad>",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
} as const;

/** The id of a piece that every ALBERT tokenizer must have. */
export function idOf({ pieces }: SentencePieceModel, piece: string): number {
  const id = pieces.findIndex((entry) => entry.piece === piece);
  if (id < 0) throw new RangeError(`Cannot export the tokenizer: it has no piece ${piece}`);
  return id;
}

/** Pieces that end in a digit and a comma lose against their parts. */
export const COMMA_PENALTY = 100;
/** Which pieces these are. */
export const digitComma: RegExp = /\p{Nd},$/u;

/** `AddedToken` of the special pieces; the mask takes the blank before it. */
function addedTokens({ pieces }: SentencePieceModel): object[] {
  return pieces.flatMap(({ piece, type }, id) =>
    type !== "control" && type !== "unknown" ? [] : [{
      id,
      content: piece,
      single_word: false,
      lstrip: piece === "[MASK]",
      rstrip: false,
      normalized: false,
      special: true,
    }]
  );
}

function normalizers(model: SentencePieceModel, { doLowerCase, keepAccents }: Preparation): object[] {
  const charsmap = model.normalizer_spec?.["precompiled_charsmap"];
  const oneBlank = { type: "Replace", pattern: { Regex: "[\\s\\x1c-\\x1f]+" }, content: " " };
  return [
    oneBlank,
    // Not StripAccents, which would also take vowel signs of Indic scripts.
    ...(keepAccents
      ? []
      : [{ type: "NFKD" }, { type: "Replace", pattern: { Regex: combiningMarkClass() }, content: "" }]),
    // Lowercase looks at single letters; the sigma at the end of a word has its own small form.
    ...(doLowerCase
      ? [{ type: "Replace", pattern: { Regex: "(?<=\\p{L})Σ(?!\\p{L})" }, content: "ς" }, {
        type: "Lowercase",
      }]
      : []),
    ...(charsmap instanceof Uint8Array && charsmap.length > 0
      ? [{ type: "Precompiled", precompiled_charsmap: Buffer.from(charsmap).toString("base64") }, oneBlank]
      : []),
    // Not on the left: the blank behind a [MASK] says that a new word follows.
    { type: "Strip", strip_left: false, strip_right: true },
  ];
}

/** The text of `tokenizer.json`. */
export function tokenizerJson(model: SentencePieceModel, preparation: Preparation): string {
  if ((model.trainer_spec?.["model_type"] ?? 1) !== 1) {
    throw new TypeError("Cannot export the tokenizer: it is no unigram model, and ALBERT's is");
  }
  for (const piece of new Set(Object.values(specials))) idOf(model, piece);
  const byteFallback = model.trainer_spec?.["byte_fallback"] === true;
  const [cls, sep] = [idOf(model, specials.cls_token), idOf(model, specials.sep_token)];
  const token = (id: string, type_id: number): object => ({ SpecialToken: { id, type_id } });
  const sequence = (id: string, type_id: number): object => ({ Sequence: { id, type_id } });
  // "first": what directly follows a [MASK] continues its word, as in training.
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: true };
  const single = [token("[CLS]", 0), sequence("A", 0), token("[SEP]", 0)];
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(model),
    normalizer: { type: "Sequence", normalizers: normalizers(model, preparation) },
    pre_tokenizer: metaspace,
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, sequence("B", 1), token("[SEP]", 1)],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [cls], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [sep], tokens: ["[SEP]"] },
      },
    },
    decoder: byteFallback ? { type: "Sequence", decoders: [{ type: "ByteFallback" }, metaspace] } : metaspace,
    model: {
      type: "Unigram",
      unk_id: idOf(model, specials.unk_token),
      vocab: model.pieces.map(({ piece, score, type }) => [
        piece,
        type === "normal" && digitComma.test(piece) ? score - COMMA_PENALTY : score,
      ]),
      byte_fallback: byteFallback,
    },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

const maskToken = { content: "[MASK]", lstrip: true, normalized: false, rstrip: false, single_word: false };

/** The text of `tokenizer_config.json`. */
export function tokenizerConfig({ doLowerCase, keepAccents, maxLength }: Preparation): string {
  const config = {
    ...specials,
    do_lower_case: doLowerCase,
    keep_accents: keepAccents,
    mask_token: { __type: "AddedToken", ...maskToken },
    model_input_names: ["input_ids", "token_type_ids", "attention_mask"],
    model_max_length: maxLength,
    // Without remove_space: tokenizer.json says it all, and transformers.js would trim the blank behind a [MASK] too.
    tokenizer_class: "PreTrainedTokenizerFast",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** The text of `special_tokens_map.json`. */
export function specialTokensMap(): string {
  return `${JSON.stringify({ ...specials, mask_token: maskToken }, null, 2)}\n`;
}
