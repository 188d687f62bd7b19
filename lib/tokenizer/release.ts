/**
 * Memory of arrays that have served. The collector comes only when tens of megabytes have gathered outside its heap, which
 * is more than a training needs at any time.
 */

/** Gives the memory of arrays back at once, where the engine can (not Node 20); nobody may read them afterwards. */
export function release(...arrays: readonly { readonly buffer: ArrayBufferLike }[]): void {
  for (const { buffer } of arrays) (buffer as { transfer?: (bytes: number) => unknown }).transfer?.(0);
}
