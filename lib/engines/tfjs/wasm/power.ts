/** The one function that our kernels ask of JavaScript. */

/** Powers lane by lane; C's pow takes 1 where JavaScript has NaN: 1^NaN, 1^±∞. */
export function power(a: number, b: number): number {
  return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b);
}
