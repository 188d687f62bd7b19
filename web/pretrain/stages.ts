/** What the page and its worker both know of a run; free of the library's code, so that the page is small. */

/** What the person chose. */
export type Choice = {
  /** An embedded corpus, or `""` for the text in the folder's `text.txt`. */
  readonly corpus: "kjv" | "";
  /** Most pieces of the tokenizer. */
  readonly vocab_size: number;
  /** Steps of training. */
  readonly steps: number;
  /** Seed of records, weights and order. */
  readonly seed: number;
};

/** Names of the stages, in order. */
export const STAGES = ["text", "tokenizer", "records", "baselines", "pretrain"] as const;
export type Stage = (typeof STAGES)[number];

/** A record as a person sees it. */
export type MaskView = {
  /** Text of each piece as the model is given it. */
  readonly pieces: readonly string[];
  /** The piece that is asked for, at the masked positions. */
  readonly asked: { readonly [position: number]: string };
  /** First piece of the second segment. */
  readonly second: number;
  /** Whether the segments were swapped. */
  readonly swapped: boolean;
};

/** One point of the curve. */
export type Point = { readonly step: number; readonly train: number; readonly heldOut?: number };
