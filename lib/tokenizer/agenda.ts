/**
 * A priority queue: largest first. Equal entries leave in the order of libstdc++'s push_heap and pop_heap, which
 * SentencePiece's results depend on.
 */

/** The queue. */
export type Agenda<Item> = {
  readonly push: (item: Item) => void;
  /** Takes the largest; undefined when nothing is left. */
  readonly pop: () => Item | undefined;
  readonly size: () => number;
};

/** Makes an empty queue ordered by a number, and among equal numbers by `behind`: whether one item comes after another. */
export function makeAgenda<Item>(
  priority: (item: Item) => number,
  behind: (a: Item, b: Item) => boolean = () => false,
): Agenda<Item> {
  const items: Item[] = [];
  const keys: number[] = [];
  /** Whether the entry at place a is less than the one at b. */
  const less = (a: Item, aKey: number, b: Item, bKey: number): boolean =>
    aKey < bKey || (aKey === bKey && behind(a, b));
  const rise = (from: number, item: Item, key: number): void => {
    let hole = from;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!less(items[parent] as Item, keys[parent] as number, item, key)) break;
      items[hole] = items[parent] as Item;
      keys[hole] = keys[parent] as number;
      hole = parent;
    }
    items[hole] = item;
    keys[hole] = key;
  };
  const pop = (): Item | undefined => {
    const top = items[0];
    const item = items.pop();
    const key = keys.pop();
    const length = items.length;
    if (item === undefined || key === undefined || length === 0) return top;
    // The hole sinks to the bottom along the larger children, then the last entry rises from there.
    let hole = 0;
    for (let right = 2; right < length; right = 2 * hole + 2) {
      const a = items[right] as Item;
      const b = items[right - 1] as Item;
      const child = less(a, keys[right] as number, b, keys[right - 1] as number) ? right - 1 : right;
      items[hole] = items[child] as Item;
      keys[hole] = keys[child] as number;
      hole = child;
    }
    if (2 * hole + 2 === length) {
      items[hole] = items[length - 1] as Item;
      keys[hole] = keys[length - 1] as number;
      hole = length - 1;
    }
    rise(hole, item, key);
    return top;
  };
  return {
    push: (item) => {
      items.push(item);
      keys.push(0);
      rise(items.length - 1, item, priority(item));
    },
    pop,
    size: () => items.length,
  };
}
