/**
 * Principal components of vectors, for maps of sentences: the covariance in float64 and its eigenvectors by Jacobi's
 * rotations, which are exact to the last digits and the same on every machine. Source: Golub and Van Loan, Matrix
 * Computations, section 8.5.
 */
import type { SentenceVectors } from "./vectors.ts";

/**
 * Points of a map, and how much of the variance each axis shows.
 *
 * @example
 * ```ts
 * import type { PrincipalPoints } from "albert-guide";
 *
 * const shown = ({ variance }: PrincipalPoints): number => variance.reduce((sum, share) => sum + share, 0);
 * ```
 */
export type PrincipalPoints = {
  /** One array for each component, largest first, with a coordinate for each vector. */
  readonly axes: readonly Float32Array[];
  /** Share of the variance along each. */
  readonly variance: readonly number[];
};

/** [n, n] symmetric, row-major; its rows become those of a diagonal matrix, and the columns of `vectors` the eigenvectors. */
function jacobi(
  matrix: Float64Array,
  n: number,
): { readonly values: Float64Array; readonly vectors: Float64Array } {
  const a = matrix.slice();
  const v = Float64Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? 1 : 0);
  const at = (m: Float64Array, row: number, column: number): number => m[row * n + column] as number; // inside
  const total = a.reduce((sum, x) => sum + x * x, 0);
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += at(a, p, q) ** 2;
    if (off <= 1e-28 * total) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (at(a, p, q) === 0) continue;
        const theta = (at(a, q, q) - at(a, p, p)) / (2 * at(a, p, q));
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [x, y] = [at(a, k, p), at(a, k, q)];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const [x, y] = [at(a, p, k), at(a, q, k)];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
          const [g, h] = [at(v, k, p), at(v, k, q)];
          v[k * n + p] = c * g - s * h;
          v[k * n + q] = s * g + c * h;
        }
      }
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => at(a, i, i)), vectors: v };
}

/**
 * Projects vectors on their principal components. The sign of a component is free; here the largest part of each is positive.
 *
 * @param vectors At least two.
 * @param components How many axes, default 3.
 * @returns Coordinates around the mean, and the share of variance of each axis.
 * @throws {RangeError} When there are fewer than two vectors, or more components than values in a vector.
 * @example
 * ```ts
 * import { principalComponents } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const line = { values: Float32Array.of(0, 0, 3, 4, 6, 8), dimension: 2, size: 3 };
 * const { axes, variance } = principalComponents(line, 2);
 * assert.deepEqual([[...axes[0] ?? []].map(Math.round), Math.round(variance[0] ?? 0)], [[-5, 0, 5], 1]);
 * ```
 */
export function principalComponents(
  { values, dimension: n, size }: SentenceVectors,
  components: number = 3,
): PrincipalPoints {
  if (size < 2 || !(components >= 1 && components <= n)) {
    throw new RangeError(
      `Cannot find ${components} principal components of ${size} vectors of ${n} values: ` +
        "give at least two vectors and 1 to as many components as values",
    );
  }
  const mean = new Float64Array(n);
  values.forEach((value, i) => mean[i % n] = (mean[i % n] as number) + value / size); // inside
  const centred = Float64Array.from(values, (value, i) => value - (mean[i % n] as number)); // inside
  const covariance = new Float64Array(n * n);
  for (let row = 0; row < size; row++) {
    for (let i = 0; i < n; i++) {
      const x = centred[row * n + i] as number; // inside
      for (let j = 0; j < n; j++) {
        covariance[i * n + j] = (covariance[i * n + j] as number) +
          x * (centred[row * n + j] as number) / size; // inside
      }
    }
  }
  const found = jacobi(covariance, n);
  const total = found.values.reduce((sum, value) => sum + value, 0);
  const order = [...found.values.keys()].sort((a, b) => (found.values[b] ?? 0) - (found.values[a] ?? 0));
  const picked = order.slice(0, components).map((column) => {
    const axis = Float64Array.from({ length: n }, (_, i) => found.vectors[i * n + column] ?? 0);
    const largest = axis.reduce((best, x) => Math.abs(x) > Math.abs(best) ? x : best, 0);
    return largest < 0 ? axis.map((x) => -x) : axis;
  });
  return {
    axes: picked.map((axis) =>
      Float32Array.from({ length: size }, (_, row) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += (centred[row * n + i] ?? 0) * (axis[i] ?? 0);
        return sum;
      })
    ),
    variance: order.slice(0, components).map((i) =>
      total === 0 ? 0 : Math.max(0, found.values[i] ?? 0) / total
    ),
  };
}
