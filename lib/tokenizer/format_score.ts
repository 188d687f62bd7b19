/**
 * Scores as C's `%g` prints them, six significant digits: `toPrecision` rounds exact ties away from zero, C rounds them
 * to even, and float32 scores such as -9.640625 are exact ties.
 */

/** Prints a float32 as `%g` does. */
export function formatScore(score: number): string {
  if (score === 0) return Object.is(score, -0) ? "-0" : "0";
  if (!Number.isFinite(score)) return Number.isNaN(score) ? "nan" : score < 0 ? "-inf" : "inf";
  const sign = score < 0 ? "-" : "";
  const [digits = "", exponentText = "0"] = sixDigits(Math.abs(score)).split("e");
  const exponent = Number(exponentText);
  const significant = digits.replace(".", "");
  const trim = (text: string): string => text.includes(".") ? text.replace(/\.?0*$/, "") : text;
  if (exponent < -4 || exponent >= 6) {
    const mantissa = trim(`${significant[0]}.${significant.slice(1)}`);
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (exponent < 0) return sign + trim(`0.${"0".repeat(-exponent - 1)}${significant}`);
  return sign + trim(`${significant.slice(0, exponent + 1)}.${significant.slice(exponent + 1)}`);
}

/** `d.ddddde±x`, ties to even. */
function sixDigits(value: number): string {
  const rounded = value.toExponential(5);
  // All decimals of a float32 in this range fit into 100 digits; a tie is a 5 followed by zeros.
  const exact = value.toExponential(100);
  const tail = exact.slice(7, exact.indexOf("e"));
  const even = Number(exact[6]) % 2 === 0;
  return even && /^50*$/.test(tail) ? exact.slice(0, 7) + exact.slice(exact.indexOf("e")) : rounded;
}
