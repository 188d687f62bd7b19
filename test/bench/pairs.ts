// Timing in pairs: ours and the peer's run in turn, so that a drifting machine hits both; what counts is the median ratio.

/** One side of a comparison. */
export type Side = { readonly name: string; readonly run: () => unknown | Promise<unknown> };

/** What a comparison gave. */
export type Ratio = {
  readonly what: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
};

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle] ?? NaN
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};

async function seconds(run: Side["run"]): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** Runs both sides `rounds` times in turn, after one warm-up each; the ratio is ours / peer, below 1 is faster. */
export async function inPairs(what: string, ours: Side, peer: Side, rounds: number = 5): Promise<Ratio> {
  await ours.run();
  await peer.run();
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i < rounds; i++) pairs.push([await seconds(ours.run), await seconds(peer.run)]);
  const ratios = pairs.map(([a, b]) => a / b);
  return {
    what: `${what}: ${ours.name} / ${peer.name}`,
    ours: median(pairs.map(([a]) => a)),
    peer: median(pairs.map(([, b]) => b)),
    ratio: median(ratios),
    low: Math.min(...ratios),
    high: Math.max(...ratios),
  };
}

/** `encode: ours / sentencepiece-js  0.42 (0.40 to 0.47)`. */
export function describeRatio({ what, ratio, low, high, ours, peer }: Ratio): string {
  return `${what.padEnd(56)} ratio ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}), ` +
    `medians ${ours.toFixed(3)} s and ${peer.toFixed(3)} s`;
}
