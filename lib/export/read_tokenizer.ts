/**
 * The tokenizer of a Hugging Face folder: a SentencePiece model from `spiece.model`, or from `tokenizer.json` where that is
 * missing, and what happens to a text before it. Facts: the file format of huggingface/tokenizers; transformers' converter of
 * ALBERT takes 100 from the score of every piece that ends in a digit and a comma, as this library's export does.
 */
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseModel, type Piece, type PieceType, serializeModel } from "../tokenizer/mod.ts";
import { readJson } from "./read_json.ts";
import { COMMA_PENALTY, digitComma, type Preparation, specials } from "./tokenizer_json.ts";

type Step = {
  readonly type?: string;
  readonly normalizers?: readonly Step[];
  readonly precompiled_charsmap?: string;
};

type TokenizerJson = {
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
  readonly normalizer?: Step | null;
  readonly model?: {
    readonly type?: string;
    readonly unk_id?: number;
    readonly vocab?: readonly (readonly [string, number])[];
    readonly byte_fallback?: boolean;
  };
};

/** What a folder says about its tokenizer. */
export type ReadTokenizer = Omit<Preparation, "maxLength"> & {
  /** Content of a SentencePiece model. */
  readonly tokenizer: Uint8Array;
  readonly pieces: number;
  readonly notes: readonly string[];
};

/** Scores without the penalty of digit and comma, where the file has it: far below every other score. */
function scoresOf(vocab: NonNullable<NonNullable<TokenizerJson["model"]>["vocab"]>): number[] {
  const lowest = vocab.reduce(
    (low, [piece, score]) => digitComma.test(piece) ? low : Math.min(low, score),
    0,
  );
  return vocab.map(([piece, score]) =>
    digitComma.test(piece) && score < lowest - COMMA_PENALTY / 2 ? score + COMMA_PENALTY : score
  );
}

const flat = (step: Step | null | undefined): readonly Step[] =>
  step === null || step === undefined ? [] : step.normalizers?.flatMap(flat) ?? [step];

/** A SentencePiece model out of `tokenizer.json`: its pieces, their kinds, and the table of characters. */
function modelOf(path: string, { model, added_tokens = [], normalizer }: TokenizerJson): Uint8Array {
  const { type, unk_id, vocab, byte_fallback = false } = model ?? {};
  if (type !== "Unigram" || vocab === undefined) {
    throw new TypeError(`Cannot use ${path}: its model is ${type ?? "unknown"}, ALBERT's is Unigram`);
  }
  const special = new Set(added_tokens.filter((token) => token.special === true).map(({ id }) => id));
  const scores = scoresOf(vocab);
  const kindOf = (piece: string, id: number): PieceType =>
    id === unk_id
      ? "unknown"
      : special.has(id)
      ? "control"
      : byte_fallback && /^<0x[0-9A-F]{2}>$/.test(piece)
      ? "byte"
      : scores[id] === 0
      ? "user_defined"
      : "normal";
  const pieces = vocab.map(([piece], id): Piece => ({
    piece,
    score: scores[id] ?? 0,
    type: kindOf(piece, id),
  }));
  const charsmap = flat(normalizer).find((step) => step.type === "Precompiled")?.precompiled_charsmap;
  const spec = typeof charsmap === "string"
    ? { name: "custom", precompiled_charsmap: new Uint8Array(Buffer.from(charsmap, "base64")) }
    : { name: "identity" };
  return serializeModel({
    pieces,
    trainer_spec: {
      model_type: 1,
      vocab_size: pieces.length,
      ...(byte_fallback ? { byte_fallback } : {}),
      unk_id: unk_id ?? 1,
      bos_id: -1,
      eos_id: -1,
      pad_id: pieces.findIndex(({ piece }) => piece === specials.pad_token),
    },
    normalizer_spec: {
      ...spec,
      add_dummy_prefix: true,
      remove_extra_whitespaces: true,
      escape_whitespaces: true,
    },
  });
}

/** How text is prepared: as `tokenizer_config.json` says, else as the steps of `tokenizer.json` show, else as ALBERT does. */
function preparationOf(folder: string, json: TokenizerJson | undefined): Omit<Preparation, "maxLength"> {
  const path = join(folder, "tokenizer_config.json");
  const told = existsSync(path) ? readJson(path) as { readonly [key: string]: unknown } | null : {};
  const steps = json === undefined ? undefined : new Set(flat(json.normalizer).map(({ type }) => type));
  const flag = (key: string, seen: boolean | undefined, usual: boolean): boolean => {
    const value = told?.[key];
    return typeof value === "boolean" ? value : seen ?? usual;
  };
  return {
    doLowerCase: flag("do_lower_case", steps?.has("Lowercase"), true),
    keepAccents: flag("keep_accents", steps === undefined ? undefined : !steps.has("NFKD"), false),
  };
}

/** Reads the tokenizer of a folder. */
export function readTokenizer(folder: string): ReadTokenizer {
  const [spiece, path] = [join(folder, "spiece.model"), join(folder, "tokenizer.json")];
  const json = existsSync(path) ? readJson(path) as TokenizerJson : undefined;
  const tokenizer = existsSync(spiece)
    ? new Uint8Array(readFileSync(spiece))
    : json === undefined
    ? undefined
    : modelOf(path, json);
  if (tokenizer === undefined) {
    throw new Error(`Cannot read ${folder}: there is no tokenizer, neither spiece.model nor tokenizer.json`);
  }
  const preparation = preparationOf(folder, json);
  const notes = [
    ...(preparation.doLowerCase ? [] : [`${folder}: its tokenizer keeps capitals`]),
    ...(preparation.keepAccents ? [`${folder}: its tokenizer keeps accents`] : []),
  ];
  return { tokenizer, pieces: parseModel(tokenizer, { path: spiece }).pieces.length, ...preparation, notes };
}
