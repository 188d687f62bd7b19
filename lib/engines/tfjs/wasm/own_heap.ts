/**
 * A shared memory of our own, with the places of values in it: what tfjs' backend gives to one thread, for several. A free
 * place is taken where it first fits, neighbours that are free are one.
 */
import type { HostArray } from "../../../tensor/mod.ts";
import { mostPages } from "./assembler.ts";
import type { Heap } from "./heap.ts";
import { makeTeam, words } from "./team.ts";
import type { Team } from "./team.ts";

const pageBytes = 65536;
const align = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

type Place = { readonly address: number; readonly bytes: number };

/** A heap whose memory several threads share. */
export type OwnHeap = Heap & {
  readonly team: Team;
  readonly address: number;
  /** Values that are held. */
  readonly held: () => number;
};

/**
 * Makes a memory and its team.
 *
 * @param threads How many share it.
 */
export function makeOwnHeap(threads: number): OwnHeap {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: mostPages, shared: true });
  const address = 64; // 0 would be no place
  let end = address + 4 * words.all + 32;
  const free: Place[] = [];
  const held = new Set<object>();
  let arena: Place | undefined;
  const size = (): number => memory.buffer.byteLength;
  const take = (wished: number): Place => {
    const bytes = align(wished);
    const at = free.findIndex((place) => place.bytes >= bytes);
    if (at >= 0) {
      const found = free[at] as Place;
      const place = { address: found.address, bytes };
      const rest = { address: found.address + bytes, bytes: found.bytes - bytes };
      free.splice(at, 1, ...(rest.bytes > 0 ? [rest] : []));
      return place;
    }
    const last = free.at(-1);
    const from = last !== undefined && last.address + last.bytes === end ? last.address : end;
    const lacking = from + bytes - size();
    if (lacking > 0) {
      try {
        memory.grow(Math.ceil(lacking / pageBytes));
      } catch {
        throw new RangeError(
          `Cannot allocate ${wished} bytes: the 4 GB of WebAssembly are used up, ` +
            "use a smaller batch or model, remat, or another engine",
        );
      }
    }
    if (from !== end) free.pop();
    end = from + bytes;
    return { address: from, bytes };
  };
  const give = (place: Place): void => {
    let at = free.findIndex((each) => each.address > place.address);
    if (at < 0) at = free.length;
    const [before, after] = [free[at - 1], free[at]];
    const joinsBefore = before !== undefined && before.address + before.bytes === place.address;
    const joinsAfter = after !== undefined && place.address + place.bytes === after.address;
    const from = joinsBefore ? before.address : place.address;
    const to = joinsAfter ? after.address + after.bytes : place.address + place.bytes;
    free.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), {
      address: from,
      bytes: to - from,
    });
  };
  return {
    memory,
    address,
    team: makeTeam(memory, address, threads),
    held: () => held.size,
    allocate: (elements) => {
      const place = take(4 * elements);
      held.add(place);
      return place;
    },
    free: (place) => {
      if (held.delete(place)) give(place as Place);
    },
    pointer: (place) => (place as Place).address,
    write: (at, values: HostArray) =>
      new Uint8Array(memory.buffer).set(
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        at,
      ),
    read: (at, bytes) => new Uint8Array(memory.buffer, at, bytes).slice().buffer as ArrayBuffer,
    size,
    arena: (bytes) => {
      if (arena === undefined || arena.bytes < bytes) {
        if (arena !== undefined) give(arena);
        arena = take(bytes);
      }
      return arena.address;
    },
  };
}
