// Damaged `.model`, `.vocab` and `vocab.txt` files, damaged normalization tables and odd texts, by the hundred thousand: nothing may
// hang, crash or eat memory, and what is refused is refused as a damaged file.
//
//     deno task bench fuzz [--count=1000000] [--seed=1]
import process from "node:process";
import {
  CorruptFileError,
  loadSentencePiece,
  loadWordPiece,
  parseModel,
  parseVocabulary,
  serializeModel,
  trainUnigram,
} from "albert-guide";
import { parseCharsmap } from "../../lib/tokenizer/charsmap.ts";
import { compileCharsmap } from "../../lib/tokenizer/charsmap.ts";
import { makeNormalizer } from "../../lib/tokenizer/normalizer.ts";
import { wholeNumbers } from "./tokenizer_matrix.ts";

/** What a run of damaged inputs came to. */
export type FuzzCount = { readonly accepted: number; readonly refused: number; readonly slowest: number };

type Below = (limit: number) => number;

/** Bytes with a few places changed, cut out, doubled or cut off. */
export function damaged(bytes: Uint8Array, below: Below): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (let change = 1 + below(4); change > 0 && out.length > 0; change--) {
    const at = below(out.length);
    const to = Math.min(out.length, at + 1 + below(12));
    const kind = below(10);
    if (kind < 4) out[at] = below(256);
    else if (kind < 7) out[at] = (out[at] as number) ^ (1 << below(8));
    else if (kind === 7) out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(to)]);
    else if (kind === 8) out = Uint8Array.from([...out.subarray(0, to), ...out.subarray(at)]);
    else out = out.slice(0, at);
  }
  return out;
}

/** A text of letters, marks, controls, half pairs and anything else. */
export function oddText(below: Below): string {
  const one = (): string => {
    const kind = below(8);
    if (kind < 3) return "the sea fi ½"[below(12)] ?? "";
    if (kind === 3) return String.fromCharCode(below(0x250));
    if (kind === 4) return String.fromCharCode(0xd7f0 + below(0x820));
    if (kind === 5) return String.fromCodePoint(below(0x110000));
    return kind === 6 ? "\u0301" : " ";
  };
  return Array.from({ length: below(30) }, one).join("");
}

/** Tries one kind of input; `attempt` throws what it refuses. */
export function fuzz(count: number, attempt: () => void, isRefusal: (error: unknown) => boolean): FuzzCount {
  const result = { accepted: 0, refused: 0, slowest: 0 };
  for (let k = 0; k < count; k++) {
    const begun = performance.now();
    try {
      attempt();
      result.accepted++;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      result.refused++;
    }
    result.slowest = Math.max(result.slowest, performance.now() - begun);
  }
  return result;
}

/** The kinds of input with what tries them. */
export async function fuzzKinds(
  seed: number,
): Promise<{ readonly name: string; readonly run: (count: number) => FuzzCount }[]> {
  const below = wholeNumbers(seed);
  const lines = Array.from({ length: 40 }, (_, i) => `the sea and the ${["sand", "land", "ﬁre"][i % 3]}`);
  const { model, vocab } = await trainUnigram(lines, { vocab_size: 16, normalization_rule_name: "identity" });
  const rules = new Map([["fi", "f"], ["½", "1/2"], ["e\u0301", "é"], ["\u0001", ""], ["海", "sea"]]);
  const steps = compileCharsmap(rules);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const blob = step.value;
  const whole = {
    ...parseModel(model),
    normalizer_spec: { name: "user_defined", precompiled_charsmap: blob },
  };
  const models = [1, 2, 3, 4].map((model_type) =>
    serializeModel({
      ...whole,
      trainer_spec: { ...whole.trainer_spec, model_type, byte_fallback: model_type === 2 },
    })
  );
  const scored = new TextEncoder().encode(vocab);
  const vocabulary = new TextEncoder().encode("[PAD]\n[UNK]\nthe\n##s\nsea\n\u00e9\n\n");
  const options = { addDummyPrefix: true, removeExtraWhitespaces: true, escapeWhitespaces: true };
  return [
    {
      name: "damaged .model files, loaded and used",
      run: (count) =>
        fuzz(count, () => {
          const tokenizer = loadSentencePiece(damaged(models[below(4)] as Uint8Array, below));
          const text = oddText(below);
          tokenizer.decode(tokenizer.encodeIds(text));
          tokenizer.encodeWithOffsets(text);
          const type = tokenizer.model.trainer_spec?.["model_type"] ?? 1;
          if (type === 1) tokenizer.nBest(text.slice(0, 12), 1 + below(5));
        }, (error) => error instanceof CorruptFileError),
    },
    {
      name: "damaged .vocab files, read and looked up",
      run: (count) =>
        fuzz(count, () => {
          const name = ["a.vocab", "a.vocab", "a.txt", "a"][below(4)] ?? "a";
          const { size, idOf, pieceOf } = parseVocabulary(damaged(scored, below), { path: name });
          if (idOf(pieceOf(size - 1)) !== size - 1) throw new Error("the last piece has another id");
        }, (error) => error instanceof CorruptFileError),
    },
    {
      name: "damaged vocab.txt files, loaded and used",
      run: (count) =>
        fuzz(count, () => {
          loadWordPiece(new TextDecoder().decode(damaged(vocabulary, below))).encode(oddText(below));
        }, (error) => error instanceof SyntaxError),
    },
    {
      name: "damaged normalization tables, used on odd texts",
      run: (count) =>
        fuzz(count, () => {
          const charsmap = parseCharsmap(damaged(blob, below));
          makeNormalizer({ ...options, charsmap, treatWhitespaceAsSuffix: below(2) === 1 }).run(
            oddText(below),
          );
        }, (error) => error instanceof SyntaxError),
    },
  ];
}

/** All kinds; one line each. */
export async function* tokenizerFuzzBench(
  { count = "1000000", seed = "1" }: { readonly [name: string]: string } = {},
): AsyncGenerator<string> {
  for (const { name, run } of await fuzzKinds(Number(seed))) {
    const { accepted, refused, slowest } = run(Number(count));
    const memory = Math.round(process.memoryUsage().rss / 1e6);
    yield `${count} ${name}: ${accepted} accepted, ${refused} refused, ` +
      `slowest ${slowest.toFixed(0)} ms, ${memory} MB`;
  }
}
