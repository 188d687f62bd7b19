/**
 * Numbers as people read them, the same in every runtime. Two V8 versions differ in the last bit of `Math.exp` and its
 * relatives, so everything that reaches an output is rounded first: 6 significant digits for data, 4 for labels.
 * No locale is asked.
 */

/** Significant digits of data in an output. */
export const DATA_DIGITS = 6;

/** Significant digits of a label in a chart. */
export const LABEL_DIGITS = 4;

/** Rounds to significant digits; integers below 1e15 and what is not finite stay as they are. */
export function roundTo(value: number, digits: number): number {
  if (!Number.isFinite(value) || (Number.isInteger(value) && Math.abs(value) < 1e15)) return value;
  return Number(value.toPrecision(digits));
}

/** A number as text: `-0`, `NaN` and `Infinity` stay visible, fractions are rounded to `digits`. */
export function numberText(value: number, digits: number = DATA_DIGITS): string {
  if (Object.is(value, -0)) return "-0";
  const rounded = roundTo(value, digits);
  return Object.is(rounded, -0) ? "0" : String(rounded);
}

/** A coordinate with at most `decimals` places, without `-0` and without trailing zeros. */
export function coordinate(value: number, decimals: number = 2): string {
  const text = String(Number(value.toFixed(decimals)));
  return text === "-0" ? "0" : text;
}

/** A large count in four characters or so: `950`, `12.3k`, `4.56M`. */
export function shortCount(value: number): string {
  const size = Math.abs(value);
  if (size < 1e4) return numberText(value, 3);
  if (size < 1e6) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size < 1e9) return `${Number((value / 1e6).toPrecision(3))}M`;
  return `${Number((value / 1e9).toPrecision(3))}G`;
}
