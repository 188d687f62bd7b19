/**
 * Places the nodes of a small graph in layers: inputs above their users, few crossings, straight chains. The method is
 * Sugiyama's: longest-path layers, helper points where an edge passes a layer, a few rounds of ordering each layer by
 * the mean place of its neighbours, then places pulled toward those neighbours without overlap.
 */

/** A node to be placed. */
export type LayoutNode = {
  /** Width of its box in pixels. */
  readonly width: number;
  /** Indices of the nodes it reads, each before itself. */
  readonly inputs: readonly number[];
};

/** Where everything stands: centres of boxes, bends of edges. */
export type Layout = {
  readonly width: number;
  /** Layer of each node, from 0 at the top. */
  readonly layers: readonly number[];
  /** Centre of each node, in pixels from the left. */
  readonly centres: readonly number[];
  /** For each node, for each of its inputs, the centres at which the edge passes the layers between, from the top. */
  readonly bends: readonly (readonly (readonly number[])[])[];
};

/** A node or a helper point on a long edge. */
type Point = {
  readonly width: number;
  readonly layer: number;
  readonly up: Point[];
  readonly down: Point[];
  x: number;
};

/** The layer of each node: one below its lowest input; leaves stand just above their first user. */
function assignLayers(nodes: readonly LayoutNode[]): number[] {
  const layers = nodes.map(() => 0);
  nodes.forEach(({ inputs }, i) => {
    layers[i] = inputs.reduce((lowest, input) => Math.max(lowest, (layers[input] ?? 0) + 1), 0);
  });
  const users = nodes.map((): number[] => []);
  nodes.forEach(({ inputs }, i) => inputs.forEach((input) => users[input]?.push(i)));
  nodes.forEach(({ inputs }, i) => {
    const below = (users[i] ?? []).map((user) => layers[user] ?? 0);
    if (inputs.length === 0 && below.length > 0) layers[i] = Math.min(...below) - 1;
  });
  return layers;
}

const mean = (points: readonly Point[]): number | undefined =>
  points.length === 0 ? undefined : points.reduce((sum, { x }) => sum + x, 0) / points.length;

/**
 * Puts the points of a layer side by side in their order, each as near to its wish as the others allow: least squares
 * under an order, found by pooling neighbours that collide (Ayer et al. 1955).
 */
function settle(row: readonly Point[], wishes: readonly number[], gap: number): void {
  let offset = 0; // left edge of the point if all stood as close as they may
  const offsets = row.map(({ width }) => (offset += width + gap) - width - gap);
  const pools: { sum: number; count: number }[] = [];
  row.forEach(({ width }, i) => {
    const pool = { sum: (wishes[i] ?? 0) - width / 2 - (offsets[i] ?? 0), count: 1 };
    for (let last = pools.at(-1); last !== undefined; last = pools.at(-1)) {
      if (last.sum / last.count <= pool.sum / pool.count) break;
      pools.pop();
      pool.sum += last.sum;
      pool.count += last.count;
    }
    pools.push(pool);
  });
  const shifts = pools.flatMap(({ sum, count }) => new Array<number>(count).fill(sum / count));
  row.forEach((point, i) => point.x = (shifts[i] ?? 0) + (offsets[i] ?? 0) + point.width / 2);
}

function orderRows(rows: Point[][], gap: number): void {
  const spread = (row: Point[]): void => settle(row, row.map((_, i) => i), gap);
  rows.forEach(spread);
  for (let round = 0; round < 12; round++) {
    const downward = round % 2 === 0;
    for (const row of downward ? rows : [...rows].reverse()) {
      const wish = new Map(row.map((point) => [point, mean(downward ? point.up : point.down) ?? point.x]));
      row.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0));
      spread(row);
    }
  }
}

function placeRows(rows: readonly Point[][], gap: number): void {
  for (let round = 0; round < 24; round++) {
    const downward = round % 2 === 0;
    for (const row of downward ? rows : [...rows].reverse()) {
      const wishes = row.map((point) => {
        const [above, below] = [mean(point.up), mean(point.down)];
        if (round >= 16 && above !== undefined && below !== undefined) return (above + below) / 2;
        return (downward ? above : below) ?? above ?? below ?? point.x;
      });
      settle(row, wishes, gap);
    }
  }
}

/**
 * Lays out a graph.
 *
 * @param nodes The nodes, inputs before users.
 * @param options `gap`: least distance of two boxes in pixels, default 14.
 */
export function layoutGraph(
  nodes: readonly LayoutNode[],
  { gap = 14 }: { readonly gap?: number } = {},
): Layout {
  const layers = assignLayers(nodes);
  const point = (width: number, layer: number): Point => ({ width, layer, up: [], down: [], x: 0 });
  const boxes = nodes.map(({ width }, i) => point(width, layers[i] ?? 0));
  const rows = Array.from({ length: Math.max(0, ...layers) + 1 }, (): Point[] => []);
  boxes.forEach((box) => rows[box.layer]?.push(box));
  const join = (above: Point, below: Point): void => {
    above.down.push(below);
    below.up.push(above);
  };
  const passes = nodes.map(({ inputs }, i) =>
    inputs.map((input) => {
      const between: Point[] = [];
      let above = boxes[input] as Point;
      for (let layer = above.layer + 1; layer < (layers[i] ?? 0); layer++) {
        const helper = point(6, layer);
        rows[layer]?.push(helper);
        join(above, helper);
        between.push(helper);
        above = helper;
      }
      join(above, boxes[i] as Point);
      return between;
    })
  );
  orderRows(rows, gap);
  placeRows(rows, gap);
  const all = rows.flat();
  const left = Math.min(0, ...all.map(({ x, width }) => x - width / 2));
  const shifted = all.map(({ x, width }) => x + width / 2 - left);
  return {
    width: Math.max(0, ...shifted),
    layers,
    centres: boxes.map(({ x }) => x - left),
    bends: passes.map((edges) => edges.map((between) => between.map(({ x }) => x - left))),
  };
}
