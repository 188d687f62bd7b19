/** Numbers that are none any more: how a run says so, and the check of what is about to be saved. */
import { firstNotFinite } from "../formats/mod.ts";
import type { NamedValues } from "./checkpoint.ts";

/** A step went wrong. The advice follows when it is known which checkpoint is the last good one. */
export class NotFinite extends RangeError {
  /** The step that was the first to go wrong, counted as in the log lines: from 1, over all stages. */
  readonly step: number;
  /** What is no number. */
  readonly what: string;

  constructor(step: number, what: string, stage?: number) {
    super(`Cannot go on: in step ${step}${stage === undefined ? "" : `, of stage ${stage},`} the ${what}`);
    this.step = step;
    this.what = what;
  }

  /** The error as the user gets it. */
  advise(checkpoint: string | undefined, found: string = ""): RangeError {
    const from = checkpoint === undefined ? "the beginning" : `the last good checkpoint, ${checkpoint}`;
    return new RangeError(`${this.message}${found}; lower learning_rate and start again from ${from}`);
  }
}

/** Refuses to save what holds a number that is none; a run could never go on from it. */
export function refuseBadWeights(
  groups: { readonly [what: string]: NamedValues },
  { step, stage }: { readonly step: number; readonly stage?: { readonly number: number } | undefined },
): void {
  for (const [what, values] of Object.entries(groups)) {
    for (const [name, data] of Object.entries(values)) {
      const bad = firstNotFinite(data);
      if (bad >= 0) throw new NotFinite(step, `${what} ${name} holds ${data[bad]}`, stage?.number);
    }
  }
}
