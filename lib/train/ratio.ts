/**
 * Ratios with intervals. The predictions of one record share a text, so they are no independent draws: an interval is that
 * of a ratio of sums over records (the linearised variance of cluster samples: Cochran 1977, Sampling Techniques, 6.5 and
 * 9A.5). Records that repeat a text with other masks (`dupe_factor`) still count as independent.
 */

/** Sums over records from which a ratio and its interval follow. */
export type Ratio = { n: number; y: number; w: number; yy: number; yw: number; ww: number };

/** A ratio and half of its 95 % interval, NaN for fewer than two records. */
export type Estimate = { readonly value: number; readonly half: number };

/** 95 % of a normal distribution lie within so many deviations. */
const z = 1.96;

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

/** The ratio of the sums and half of its interval: 1.96 deviations to both sides. */
export function estimate({ n, y, w, yy, yw, ww }: Ratio): Estimate {
  const value = y / w;
  const spread = Math.max(0, yy - 2 * value * yw + value * value * ww);
  return { value, half: n < 2 ? NaN : z * Math.sqrt(spread * n / (n - 1)) / w };
}

/** The interval of an estimate. */
export function around({ value, half }: Estimate): readonly [number, number] {
  return [value - half, value + half];
}

/**
 * The interval of a share: Wilson's score interval (1927), which stays inside 0 to 1 and has a width where no draw or every
 * draw is a hit. The draws are the predictions divided by the design effect, that is as many independent ones as would give
 * the variance found over the records (Korn and Graubard 1998). Where none or all are hits that variance says nothing, and
 * every prediction counts; one record counts as one draw.
 */
export function aroundShare(ratio: Ratio): readonly [number, number] {
  const { value, half } = estimate(ratio);
  const { n, w } = ratio;
  const independent = value * (1 - value) / (half / z) ** 2; // 0 / 0 where none or all are hits
  const draws = n < 2 ? n : Number.isNaN(independent) ? w : Math.min(w, independent);
  const centre = (value + z * z / (2 * draws)) / (1 + z * z / draws);
  const reach = z / (1 + z * z / draws) * Math.sqrt(value * (1 - value) / draws + (z / (2 * draws)) ** 2);
  // At the ends rounding would leave a 1e-18 beside 0 or 1.
  return [value === 0 ? 0 : Math.max(0, centre - reach), value === 1 ? 1 : Math.min(1, centre + reach)];
}
