/**
 * Labelled texts to arrays: labels to numbers, texts to pieces, a split that keeps equal texts together. A text is cut as
 * the reference's run_classifier.py cuts it: the longer segment of a pair loses its last piece until both fit. A word's tag
 * stands at its first piece.
 */
import { createHash } from "node:crypto";
import type { FinetuneTask } from "../../config/mod.ts";
import { albertPieces } from "../../tasks/mod.ts";
import type { PieceTokenizer } from "../masked_input.ts";
import type { LabelledText } from "./labelled.ts";

/** One example as arrays of S values; `label_weights` is 1 where a label counts. */
export type FinetuneExample = {
  readonly input_ids: Int32Array;
  readonly input_mask: Int32Array;
  readonly segment_ids: Int32Array;
  /** [1] for a text, [S] for tags. */
  readonly labels: Int32Array;
  readonly label_weights: Float32Array;
};

/** How texts become pieces. */
export type Encoding = {
  readonly tokenizer: PieceTokenizer;
  /** What a text goes through first, such as lower-casing. */
  readonly prepare: (text: string) => string;
};

const labelsOf = ({ label, tags }: LabelledText): readonly string[] =>
  tags ?? (label === undefined ? [] : [label]);

/** Refuses a text that is not what a task takes; `attempt` begins the message. */
export function refuseOther(
  { text, textB, tokens }: LabelledText,
  task: FinetuneTask,
  attempt: string,
): void {
  const fits = task === "tokens"
    ? tokens !== undefined
    : text !== undefined && (textB !== undefined) === (task === "pair");
  if (fits) return;
  const wanted = { classify: "one text", pair: "a text and a second one", tokens: "words" }[task];
  throw new TypeError(`${attempt}: the task is ${task}, give ${wanted}`);
}

/** Refuses examples that are not what a task takes, or that lack their labels. */
export function refuseUnlabelled(examples: readonly LabelledText[], task: FinetuneTask): void {
  examples.forEach((example, i) => {
    const attempt = `Cannot fine-tune with example ${i + 1}`;
    refuseOther(example, task, attempt);
    const { tokens = [], tags = [], label } = example;
    if (task === "tokens" ? tags.length === tokens.length : label !== undefined) return;
    throw new TypeError(
      task === "tokens"
        ? `${attempt}: it has ${tokens.length} words and ${tags.length} tags`
        : `${attempt}: it has no label`,
    );
  });
}

/** Labels in order: numbers by size, names by letters, `O` first. */
export function labelList(examples: readonly LabelledText[]): string[] {
  const labels = [...new Set(examples.flatMap(labelsOf))];
  const numeric = labels.every((label) => /^-?\d+$/.test(label));
  const rank = (label: string): number => label === "O" ? 0 : 1;
  return labels.sort((a, b) =>
    numeric ? Number(a) - Number(b) : rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0)
  );
}

/** Refuses held-out labels that training never shows. */
export function refuseUnseen(examples: readonly LabelledText[], labels: readonly string[]): void {
  const known = new Set(labels);
  const unseen = [...new Set(examples.flatMap(labelsOf).filter((label) => !known.has(label)))];
  if (unseen.length === 0) return;
  const few = (list: readonly string[]): string =>
    list.slice(0, 8).join(", ") + (list.length > 8 ? `, and ${list.length - 8} more` : "");
  throw new RangeError(
    `Cannot evaluate: ${unseen.length === 1 ? "the label" : "the labels"} ${few(unseen)} ` +
      `${unseen.length === 1 ? "is" : "are"} not among those of the training examples (${few(labels)})`,
  );
}

/**
 * Splits examples into training and held-out ones. Which side an example falls on follows from its text and the seed, so
 * equal texts stay together and more examples move none.
 *
 * @param examples Labelled examples.
 * @param share Share that is held out, 0 to 1, met on average.
 * @param seed Any whole number.
 * @returns Both sides, each in the order given.
 * @example
 * ```ts
 * import { splitLabelled } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const examples = Array.from({ length: 100 }, (_, i) => ({ text: `text ${i % 50}`, label: "a" }));
 * const { train, heldOut } = splitLabelled(examples, 0.3, 1);
 * assert.equal(train.length + heldOut.length, 100);
 * assert.ok(heldOut.every(({ text }) => !train.some((other) => other.text === text)));
 * ```
 */
export function splitLabelled(
  examples: readonly LabelledText[],
  share: number,
  seed: number,
): { readonly train: LabelledText[]; readonly heldOut: LabelledText[] } {
  const draw = ({ text, textB, tokens }: LabelledText): number =>
    createHash("sha256").update(JSON.stringify([seed, text, textB, tokens])).digest().readUInt32BE(0) /
    2 ** 32;
  const heldOut = examples.filter((example) => draw(example) < share);
  const train = examples.filter((example) => draw(example) >= share);
  return { train, heldOut };
}

/** A text without its label as ids and segments, and for words the place of each one's first piece, −1 where it was cut. */
export type EncodedText = {
  readonly ids: readonly number[];
  readonly segments: readonly number[];
  readonly places?: readonly number[];
};

/** [CLS] A [SEP], or [CLS] A [SEP] B [SEP], with at most `length` pieces. */
export function encodeText(
  { text = "", textB, tokens }: LabelledText,
  { tokenizer, prepare }: Encoding,
  length: number,
): EncodedText {
  const piecesOf = (part: string): number[] => {
    const prepared = prepare(part);
    if (prepared.trim() === "") return [];
    return albertPieces((each) => tokenizer.encode(each), prepared).map(tokenizer.idOf);
  };
  const [cls, sep] = [tokenizer.idOf("[CLS]"), tokenizer.idOf("[SEP]")];
  if (tokens !== undefined) {
    const ids = [cls];
    const places = tokens.map((word) => {
      const pieces = piecesOf(word);
      const place = ids.length;
      // A word of which nothing is left, such as a lone accent, is the unknown piece: its tag needs a place.
      ids.push(...pieces.length > 0 ? pieces : [tokenizer.idOf("<unk>")]);
      return place < length - 1 ? place : -1;
    });
    const cut = [...ids.slice(0, length - 1), sep];
    return { ids: cut, segments: cut.map(() => 0), places };
  }
  const a = piecesOf(text);
  const b = textB === undefined ? undefined : piecesOf(textB);
  const room = length - (b === undefined ? 2 : 3);
  while (a.length + (b?.length ?? 0) > room) (b === undefined || a.length > b.length ? a : b).pop();
  const first = [cls, ...a, sep];
  const second = b === undefined ? [] : [...b, sep];
  return { ids: [...first, ...second], segments: [...first.map(() => 0), ...second.map(() => 1)] };
}

/** The arrays of an example of `length` pieces; without labels where there are none. */
export function exampleArrays(
  example: LabelledText,
  encoding: Encoding,
  { task, labels, length }: {
    readonly task: FinetuneTask;
    readonly labels: readonly string[];
    readonly length: number;
  },
): FinetuneExample {
  const { ids, segments, places } = encodeText(example, encoding, length);
  const row = (values: readonly number[]): Int32Array =>
    Int32Array.from({ length }, (_, i) => values[i] ?? 0);
  const numberOf = (label: string | undefined): number => Math.max(0, labels.indexOf(label ?? ""));
  const inputs = { input_ids: row(ids), input_mask: row(ids.map(() => 1)), segment_ids: row(segments) };
  if (task !== "tokens") {
    return {
      ...inputs,
      labels: Int32Array.of(numberOf(example.label)),
      label_weights: Float32Array.of(1),
    };
  }
  const [tags, weights] = [new Int32Array(length), new Float32Array(length)];
  places?.forEach((place, word) => {
    if (place < 0) return;
    tags[place] = numberOf(example.tags?.[word]);
    weights[place] = 1;
  });
  return { ...inputs, labels: tags, label_weights: weights };
}
