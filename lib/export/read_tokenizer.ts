/**
 * The tokenizer of a Hugging Face folder: a SentencePiece model from `spiece.model`, or from `tokenizer.json` where that is
 * missing, and what happens to a text before it. Facts: the file format of huggingface/tokenizers; transformers' converter of
 * ALBERT takes 100 from the score of every piece that ends in a digit and a comma, as this library's export does.
 */
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readJsonFile } from "../formats/mod.ts";
import { parseModel, type Piece, type PieceType, serializeModel } from "../tokenizer/mod.ts";
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

/** Refuses a file whose parts are not of the kind that the format says. */
function checkShape(path: string, value: unknown): TokenizerJson {
  const bad = (reason: string): TypeError => new TypeError(`Cannot use ${path}: ${reason}`);
  const isObject = (part: unknown): boolean =>
    typeof part === "object" && part !== null && !Array.isArray(part);
  if (!isObject(value)) throw bad("it is no object");
  const { model, added_tokens = [], normalizer } = value as TokenizerJson;
  if (!isObject(model)) throw bad("it has no model");
  const { type, vocab, unk_id } = model as NonNullable<TokenizerJson["model"]>; // looked at in the line before
  if (type !== "Unigram") throw bad(`its model is ${JSON.stringify(type)}, ALBERT's is Unigram`);
  if (!Array.isArray(vocab)) throw bad("its model has no vocab");
  const at = vocab.findIndex((entry: unknown) =>
    !Array.isArray(entry) || typeof entry[0] !== "string" || !Number.isFinite(entry[1])
  );
  if (at >= 0) {
    throw bad(`entry ${at} of its vocab is ${JSON.stringify(vocab[at])}, not a piece with a score`);
  }
  const inside = (id: unknown): boolean =>
    Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocab.length;
  if (unk_id !== undefined && unk_id !== null && !inside(unk_id)) {
    throw bad(`its unk_id is ${JSON.stringify(unk_id)}, there are ${vocab.length} pieces`);
  }
  if (!Array.isArray(added_tokens)) throw bad("its added_tokens are no list");
  const token = added_tokens.find((token: unknown) => {
    const { id, content } = (isObject(token) ? token : {}) as {
      readonly id?: number;
      readonly content?: string;
    };
    const known = vocab[id ?? -1]?.[0] ?? content; // one beyond the vocab was added later
    return !Number.isInteger(id) || typeof content !== "string" || known !== content;
  });
  if (token !== undefined) throw bad(`the added token ${JSON.stringify(token)} does not fit its vocab`);
  const steps = normalizer === undefined || normalizer === null ? [] : [normalizer];
  for (const step of steps) {
    if (!isObject(step)) throw bad("a step of its normalizer is no object");
    if (step.normalizers === undefined) continue;
    if (!Array.isArray(step.normalizers)) throw bad("the steps of its normalizer are no list");
    steps.push(...step.normalizers);
  }
  return value as TokenizerJson;
}

/** A SentencePiece model out of `tokenizer.json`: its pieces, their kinds, and the table of characters. */
function modelOf({ model, added_tokens = [], normalizer }: TokenizerJson): Uint8Array {
  const { unk_id, vocab = [], byte_fallback = false } = model ?? {};
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
  const told = existsSync(path) ? readJsonFile(path) as { readonly [key: string]: unknown } | null : {};
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
  const json = existsSync(path) ? checkShape(path, readJsonFile(path)) : undefined;
  const tokenizer = existsSync(spiece)
    ? new Uint8Array(readFileSync(spiece))
    : json === undefined
    ? undefined
    : modelOf(json);
  if (tokenizer === undefined) {
    throw new Error(`Cannot read ${folder}: there is no tokenizer, neither spiece.model nor tokenizer.json`);
  }
  const pieces = parseModel(tokenizer, { path: spiece }).pieces.length;
  const listed = json?.model?.vocab?.length ?? pieces;
  if (listed !== pieces) {
    throw new RangeError(
      `Cannot read ${folder}: spiece.model has ${pieces} pieces and tokenizer.json ${listed}; the folder mixes two tokenizers`,
    );
  }
  const preparation = preparationOf(folder, json);
  const notes = [
    ...(preparation.doLowerCase ? [] : [`${folder}: its tokenizer keeps capitals`]),
    ...(preparation.keepAccents ? [`${folder}: its tokenizer keeps accents`] : []),
  ];
  return { tokenizer, pieces, ...preparation, notes };
}
