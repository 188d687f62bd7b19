/**
 * Pieces back to text: control pieces vanish, U+2581 becomes a blank, a leading blank goes, runs of byte pieces are decoded
 * together (sentencepiece_processor.cc, Decode).
 */
import type { SentencePieceModel } from "./model_file.ts";
import { decodeUtf8 } from "./utf8.ts";

/** Makes the decoder of a model. */
export function makeDecoder(
  proto: SentencePieceModel,
  lookup: {
    readonly idOf: (piece: string) => number;
    readonly pieceOf: (id: number) => string;
    readonly unkId: number;
  },
): (tokens: ArrayLike<number> | readonly string[]) => string {
  const { idOf, pieceOf, unkId } = lookup;
  const unkSurface = String(proto.trainer_spec?.["unk_surface"] ?? " \u2047 ");
  const dummyPrefix = proto.normalizer_spec?.["add_dummy_prefix"] !== false;
  const removeExtra = proto.normalizer_spec?.["remove_extra_whitespaces"] !== false;
  const surfaces: (string | undefined)[] = []; // of pieces behind the start, by id; undefined: not asked for yet, or not so simple
  const surfaceOf = (id: number): string | undefined => {
    const type = proto.pieces[id]?.type;
    if (type === undefined || type === "byte" || type === "control" || id === unkId) return undefined;
    while (surfaces.length < id) surfaces.push(undefined); // no holes, which make an array slow
    return surfaces[id] = pieceOf(id).replaceAll("\u2581", " ");
  };
  return (tokens) => {
    let text = "";
    let atStart = true;
    let bytes: number[] = [];
    const flush = (): void => {
      if (bytes.length > 0) text += decodeUtf8(Uint8Array.from(bytes), "\ufffd");
      bytes = [];
    };
    for (let k = 0; k < tokens.length; k++) {
      const token = tokens[k] as number | string;
      const plain = typeof token === "string" || bytes.length > 0 || text === ""
        ? undefined
        : surfaces[token] ?? surfaceOf(token);
      if (plain !== undefined) {
        atStart = false;
        text += plain;
        continue;
      }
      const id = typeof token === "string" ? idOf(token) : token;
      let piece = typeof token === "string" ? token : pieceOf(token);
      const type = proto.pieces[id]?.type;
      if (type === "byte") {
        bytes.push(parseInt(piece.slice(3, 5), 16));
        continue;
      }
      flush();
      if (text !== "") atStart = false;
      if (type === "control") continue;
      if (id === unkId) {
        text += piece === pieceOf(unkId) ? unkSurface : piece;
        continue;
      }
      if (atStart && (dummyPrefix || removeExtra) && piece.startsWith("\u2581")) {
        piece = piece.slice(1);
        if (!removeExtra) atStart = false;
      }
      text += piece.replaceAll("\u2581", " ");
    }
    flush();
    return text;
  };
}
