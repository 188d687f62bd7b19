/**
 * The pieces that are not learned: unknown, begin, end, padding, control and user-defined symbols, bytes. Which id each
 * gets follows trainer_interface.cc (InitMetaPieces).
 */
import type { Piece, PieceType } from "./model_file.ts";
import type { ResolvedOptions } from "./options.ts";

/** Id -> piece, score 0. */
export type MetaPieces = ReadonlyMap<number, Piece>;

/**
 * Lays out the meta pieces.
 *
 * @throws {RangeError} When a symbol is given twice, or is the unknown piece.
 */
export function layOutMetaPieces(options: ResolvedOptions): MetaPieces {
  const byId = new Map<number, Piece>();
  const idOf = new Map<string, number>();
  const set = (id: number, piece: string, type: PieceType): void => {
    byId.set(id, { piece, score: 0, type });
    idOf.set(piece, id);
  };
  for (const name of ["unk", "bos", "eos", "pad"] as const) {
    const id = options[`${name}_id`];
    const piece = options[`${name}_piece`];
    if (id < 0) continue;
    if (idOf.has(piece)) {
      throw new RangeError(`Cannot train the tokenizer: ${name}_piece "${piece}" is given twice`);
    }
    set(id, piece, name === "unk" ? "unknown" : "control");
  }
  const named = new Set([options.bos_piece, options.eos_piece, options.pad_piece]);
  const seen = new Set<string>();
  let next = 0;
  const add = (piece: string, type: PieceType, flag: string): void => {
    const known = idOf.get(piece);
    if (seen.has(piece) || piece === options.unk_piece || (known !== undefined && !named.has(piece))) {
      throw new RangeError(
        `Cannot train the tokenizer: ${flag} holds "${piece}", which is already defined; give it once`,
      );
    }
    seen.add(piece);
    if (known !== undefined) {
      set(known, piece, type); // <pad> and its like keep their id and change their kind
      return;
    }
    while (byId.has(next)) next++;
    set(next, piece, type);
  };
  for (const symbol of options.control_symbols) add(symbol, "control", "control_symbols");
  for (const symbol of options.user_defined_symbols) add(symbol, "user_defined", "user_defined_symbols");
  if (options.byte_fallback) {
    for (let byte = 0; byte < 256; byte++) {
      add(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, "byte", "byte_fallback");
    }
  }
  return byId;
}

/** Makes the function that finds the longest meta piece at a place: its length in code points, or 0. */
export function metaMatcher(meta: MetaPieces): (codePoints: Int32Array, at: number, count: number) => number {
  const byFirst = new Map<number, number[][]>();
  for (const { piece } of meta.values()) {
    const codePoints = Array.from(piece, (character) => character.codePointAt(0) as number);
    const first = codePoints[0] as number;
    byFirst.set(first, [...byFirst.get(first) ?? [], codePoints].sort((a, b) => b.length - a.length));
  }
  const asciiStart = new Uint8Array(128);
  for (const first of byFirst.keys()) if (first < 128) asciiStart[first] = 1;
  return (codePoints, at, count) => {
    const first = codePoints[at] as number;
    if (first < 128 && asciiStart[first] === 0) return 0;
    for (const candidate of byFirst.get(first) ?? []) {
      if (at + candidate.length > count) continue;
      let same = true;
      for (let k = 1; k < candidate.length && same; k++) same = codePoints[at + k] === candidate[k];
      if (same) return candidate.length;
    }
    return 0;
  };
}
