/**
 * A double-array trie over small symbol numbers, for finding all pieces that start at a place. Cells hold base, parent
 * and value side by side, so that one step touches one cache line.
 */

/** Cell t is at 4t: base, parent + 1 (0: free), value (-1: no key ends here), unused. The root is cell 0. */
export type DoubleArray = Int32Array;

/**
 * Builds the trie.
 *
 * @param keys Distinct non-empty symbol sequences, symbols from 1, in ascending order; the value of a key is its entry
 * in `values`.
 */
export function buildDoubleArray(keys: readonly ArrayLike<number>[], values: ArrayLike<number>): DoubleArray {
  let cells = new Int32Array(4096);
  let firstFree = 1;
  const room = (cell: number): void => {
    if (4 * cell + 4 <= cells.length) return;
    const larger = new Int32Array(Math.max(2 * cells.length, 4 * cell + 4));
    larger.set(cells);
    cells = larger;
  };
  const isFree = (cell: number): boolean => 4 * cell + 4 > cells.length || cells[4 * cell + 1] === 0;
  const findBase = (symbols: readonly number[]): number => {
    const first = symbols[0] as number;
    while (!isFree(firstFree)) firstFree++;
    let misses = 0;
    for (let cell = Math.max(firstFree, first);; cell++) {
      if (!isFree(cell)) {
        if (++misses > 64) firstFree = Math.max(firstFree, cell - 32); // leave crowded regions behind
        continue;
      }
      const base = cell - first;
      if (symbols.every((symbol) => isFree(base + symbol)) && base + first > 0) return base;
    }
  };
  const place = (node: number, low: number, high: number, depth: number): void => {
    let at = low;
    room(node);
    cells[4 * node + 2] = -1;
    if (at < high && (keys[at] as ArrayLike<number>).length === depth) {
      cells[4 * node + 2] = values[at] as number;
      at++;
    }
    const symbols: number[] = [];
    const bounds: number[] = [];
    while (at < high) {
      const symbol = (keys[at] as ArrayLike<number>)[depth] as number;
      symbols.push(symbol);
      bounds.push(at);
      while (at < high && (keys[at] as ArrayLike<number>)[depth] === symbol) at++;
    }
    bounds.push(high);
    if (symbols.length === 0) return;
    const base = findBase(symbols);
    cells[4 * node] = base;
    for (const symbol of symbols) {
      room(base + symbol);
      cells[4 * (base + symbol) + 1] = node + 1;
    }
    symbols.forEach((symbol, k) =>
      place(base + symbol, bounds[k] as number, bounds[k + 1] as number, depth + 1)
    );
  };
  cells[1] = -1; // the root is nobody's child and not free
  place(0, 0, keys.length, 0);
  return cells;
}
