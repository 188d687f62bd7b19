/**
 * The error function in float64, and saturating conversion to integers. erf: the Maclaurin series below 2.5, the
 * continued fraction of erfc above (Abramowitz and Stegun 7.1.6 and 7.1.14); both are exact to about 1e-15.
 */

/** 2/√π ∫₀ˣ exp(-t²) dt. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let tail = 0;
  for (let n = 80; n >= 1; n--) tail = (n / 2) / (size + tail);
  return Math.sign(x) * (1 - Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + tail));
}

/** Truncates to an integer within bounds; NaN becomes 0 (WebAssembly's saturating conversion, and XLA's). */
export function saturate(x: number, low: number, high: number): number {
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high);
}
