/**
 * Differences that a person can read: which cell, which line, what was committed and what came now.
 */
import { type Output, outputToJson, sortKeys } from "./format.ts";

/** Longest piece of a line that is shown, in characters. */
const shownWidth = 140;
/** Most differing lines shown on either side. */
const shownLines = 4;

/** The first place where two texts differ. */
export type Difference = {
  /** Line of the first difference, from 1. */
  readonly line: number;
  /** The differing lines, cut to a readable size, `- ` before what was expected and `+ ` before what came. */
  readonly lines: readonly string[];
};

/**
 * Finds the first difference of two lists of lines.
 *
 * @param before What was committed.
 * @param after What came now.
 * @returns The first difference, or undefined when they are equal.
 * @example
 * ```ts
 * import { firstDifference } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * assert.equal(firstDifference(["a"], ["a"]), undefined);
 * assert.deepEqual(firstDifference(["a", "b", "c"], ["a", "x", "c"]), { line: 2, lines: ["- b", "+ x"] });
 * ```
 */
export function firstDifference(before: readonly string[], after: readonly string[]): Difference | undefined {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  if (start === before.length && start === after.length) return undefined;
  let common = 0; // equal lines at the end
  while (
    common < before.length - start && common < after.length - start &&
    before[before.length - 1 - common] === after[after.length - 1 - common]
  ) common += 1;
  const old = before.slice(start, before.length - common);
  const now = after.slice(start, after.length - common);
  const from = shownFrom(old[0] ?? "", now[0] ?? "");
  return { line: start + 1, lines: [...shown("- ", old, from), ...shown("+ ", now, from)] };
}

/** First character to show: a little before the first differing one when the lines are long. */
function shownFrom(old: string, now: string): number {
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1;
  return Math.max(old.length, now.length) <= shownWidth ? 0 : Math.max(0, same - 40);
}

function shown(sign: string, lines: readonly string[], from: number): string[] {
  const cut = lines.slice(0, shownLines).map((line, index) => {
    const start = index === 0 ? from : 0;
    const piece = line.slice(start, start + shownWidth);
    return `${sign}${start > 0 ? "…" : ""}${piece}${line.length > start + shownWidth ? "…" : ""}`;
  });
  const rest = lines.length - cut.length;
  return rest > 0 ? [...cut, `${sign}… ${rest} more lines`] : cut;
}

/**
 * Compares the outputs of a cell with the committed ones.
 *
 * @param before Committed outputs.
 * @param after Outputs of this run, canonical.
 * @returns The first difference, or undefined when they are equal in every byte.
 * @example
 * ```ts
 * import { compareOutputs } from "albert-guide/notebook";
 * import assert from "node:assert/strict";
 *
 * const print = (text: string) => ({ output_type: "stream", name: "stdout", text }) as const;
 * assert.deepEqual(compareOutputs([print("2\n")], [print("3\n")]), { line: 2, lines: ["- 2", "+ 3"] });
 * ```
 */
export function compareOutputs(before: readonly Output[], after: readonly Output[]): Difference | undefined {
  const difference = firstDifference(before.flatMap(outputLines), after.flatMap(outputLines));
  if (difference !== undefined) return difference;
  // The readable form shows text as text; the stored form decides.
  const stored = (outputs: readonly Output[]): string[] =>
    JSON.stringify(sortKeys(outputs.map(outputToJson)), null, 1).split("\n");
  return firstDifference(stored(before), stored(after));
}

/** An output as lines: a head that names the kind, then its content with JSON spread out. */
function outputLines(output: Output): string[] {
  switch (output.output_type) {
    case "stream":
      return [`[${output.name}]`, ...output.text.split("\n")];
    case "error":
      return ["[error]", `${output.ename}: ${output.evalue}`];
    case "display_data":
      return Object.keys(output.data).sort().flatMap((mime) => {
        const value = output.data[mime];
        const text = typeof value === "string" ? value : JSON.stringify(sortKeys(value ?? null), null, 1);
        return [`[${mime}]`, ...text.split("\n")];
      });
  }
}
