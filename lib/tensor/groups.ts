/**
 * Trees of names, one group deep: the arguments and results of programs.
 */
/**
 * Named values and named groups of values: the arguments and results of a program.
 *
 * @example
 * ```ts
 * import type { Groups, TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * const types: Groups<TensorType> = {
 *   step: { dtype: "int32", shape: [] },
 *   parameters: { kernel: { dtype: "float32", shape: [2, 2] } },
 * };
 * assert.deepEqual(Object.keys(types), ["step", "parameters"]);
 * ```
 */
export type Groups<Leaf> = { readonly [name: string]: Leaf | { readonly [name: string]: Leaf } };

/**
 * The same names with other values.
 *
 * @example
 * ```ts
 * import type { Regroup, TensorType } from "albert-guide";
 * import assert from "node:assert/strict";
 *
 * type Specs = { readonly x: TensorType; readonly weights: { readonly a: TensorType } };
 * const tensors: Regroup<Specs, TensorType, number> = { x: 1, weights: { a: 2 } };
 * assert.equal(tensors.weights.a, 2);
 * ```
 */
export type Regroup<Tree, From, To> = {
  readonly [Key in keyof Tree]: Tree[Key] extends From ? To : { readonly [Name in keyof Tree[Key]]: To };
};

/** A leaf and where it stands. */
export type Named<Leaf> = {
  readonly path: string;
  readonly group: string;
  /** Its name in the group; undefined where the argument is a value itself. */
  readonly name?: string;
  readonly leaf: Leaf;
};

/** The leaves of a tree in its order; refuses what is neither a leaf nor a group. */
export function leaves<Leaf>(tree: object, isLeaf: (value: unknown) => value is Leaf): Named<Leaf>[] {
  return Object.entries(tree).flatMap(([group, value]: [string, unknown]) => {
    if (isLeaf(value)) return [{ path: group, group, leaf: value }];
    if (typeof value !== "object" || value === null) {
      throw new TypeError(`Cannot read ${group}: it is no value and no group`);
    }
    return Object.entries(value).map(([name, leaf]: [string, unknown]) => {
      if (!isLeaf(leaf)) throw new TypeError(`Cannot read ${group}.${name}: it is no value`);
      return { path: `${group}.${name}`, group, name, leaf };
    });
  });
}

/** The same tree with every leaf mapped. */
export function mapLeaves<Leaf, To>(
  tree: object,
  isLeaf: (value: unknown) => value is Leaf,
  map: (leaf: Leaf) => To,
): object {
  const inner = (value: unknown): unknown =>
    isLeaf(value)
      ? map(value)
      : Object.fromEntries(Object.entries(value as object).map(([name, leaf]) => [name, map(leaf as Leaf)]));
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, inner(value)]));
}
