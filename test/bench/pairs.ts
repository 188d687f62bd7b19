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

/**
 * Runs all sides once each in turn, `rounds` times; seconds of every round, side by side. A rest (in ms) before each lets a
 * side that is a process of its own finish what it does after its answer, such as giving memory back, on its own time.
 */
export async function inTurn(sides: readonly Side[], rounds: number, rest = 0): Promise<number[][]> {
  const times: number[][] = sides.map(() => []);
  for (let i = 0; i < rounds; i++) {
    for (const [k, { run }] of sides.entries()) {
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
      times[k]?.push(await seconds(run));
    }
  }
  return times;
}

/** Compares what two sides took in the same rounds. */
export function ratioOf(what: string, ours: readonly number[], peer: readonly number[]): Ratio {
  const ratios = ours.map((time, i) => time / (peer[i] as number));
  return {
    what,
    ours: median(ours),
    peer: median(peer),
    ratio: median(ratios),
    low: Math.min(...ratios),
    high: Math.max(...ratios),
  };
}

/** Runs both sides `rounds` times in turn, after one warm-up each; the ratio is ours / peer, below 1 is faster. */
export async function inPairs(what: string, ours: Side, peer: Side, rounds: number = 5): Promise<Ratio> {
  await ours.run();
  await peer.run();
  const [a = [], b = []] = await inTurn([ours, peer], rounds);
  return ratioOf(`${what}: ${ours.name} / ${peer.name}`, a, b);
}

/** `encode: ours / sentencepiece-js  0.42 (0.40 to 0.47)`. */
export function describeRatio({ what, ratio, low, high, ours, peer }: Ratio): string {
  return `${what.padEnd(56)} ratio ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}), ` +
    `medians ${ours.toFixed(3)} s and ${peer.toFixed(3)} s`;
}
