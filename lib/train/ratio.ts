/**
 * Ratios with intervals. The predictions of one record share a text, so they are no independent draws: an interval is that
 * of a ratio of sums over records (the linearised variance of cluster samples: Cochran 1977, Sampling Techniques, 6.5 and
 * 9A.5). Records that repeat a text with other masks (`dupe_factor`) still count as independent.
 */

/** Sums over records from which a ratio and its interval follow. */
export type Ratio = { n: number; y: number; w: number; yy: number; yw: number; ww: number };

/** A ratio and half of its 95 % interval, NaN for fewer than two records. */
export type Estimate = { readonly value: number; readonly half: number };

export const emptyRatio = (): Ratio => ({ n: 0, y: 0, w: 0, yy: 0, yw: 0, ww: 0 });

/** Adds a record: sum of values y over weight w. */
export function addRecord(ratio: Ratio, y: number, w: number): void {
  if (w === 0) return;
  ratio.n++;
  ratio.y += y;
  ratio.w += w;
  ratio.yy += y * y;
  ratio.yw += y * w;
  ratio.ww += w * w;
}

/** The ratio of the sums and its interval: 1.96 deviations to both sides. */
export function estimate({ n, y, w, yy, yw, ww }: Ratio): Estimate {
  const value = y / w;
  const spread = Math.max(0, yy - 2 * value * yw + value * value * ww);
  return { value, half: n < 2 ? NaN : 1.96 * Math.sqrt(spread * n / (n - 1)) / w };
}

/** The interval of an estimate. */
export function around({ value, half }: Estimate): readonly [number, number] {
  return [value - half, value + half];
}

/** The same for a share, which is never outside 0 to 1. */
export function aroundShare(found: Estimate): readonly [number, number] {
  const [low, high] = around(found);
  return [Math.max(0, low), Math.min(1, high)];
}
