/**
 * UTF-8 as SentencePiece checks it: no overlong forms, no surrogates, nothing above U+10FFFF; a byte that starts no valid
 * character is bad on its own, so a bad sequence of three bytes is three bad bytes (TextDecoder counts otherwise).
 */

/** Length of the valid character at `at`, or 0 when the byte there starts none. */
export function validLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const tail = (k: number): boolean => at + k < bytes.length && ((bytes[at + k] as number) & 0xc0) === 0x80;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return tail(1) ? 2 : 0;
  const second = bytes[at + 1] ?? 0;
  if (lead < 0xf0) {
    if (!tail(1) || !tail(2)) return 0;
    return (lead === 0xe0 && second < 0xa0) || (lead === 0xed && second > 0x9f) ? 0 : 3;
  }
  if (lead > 0xf4 || !tail(1) || !tail(2) || !tail(3)) return 0;
  return (lead === 0xf0 && second < 0x90) || (lead === 0xf4 && second > 0x8f) ? 0 : 4;
}

/**
 * Decodes bytes; every bad byte becomes `bad`.
 *
 * @param bad Text in place of one bad byte: U+FFFD, or a lone surrogate that the normalizer knows as a bad byte.
 */
export function decodeUtf8(bytes: Uint8Array, bad: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let out = "";
    let from = 0;
    for (let at = 0; at < bytes.length;) {
      const length = validLength(bytes, at);
      if (length === 0) {
        out += decoder.decode(bytes.subarray(from, at)) + bad;
        from = at + 1;
      }
      at += Math.max(1, length);
    }
    return out + decoder.decode(bytes.subarray(from));
  }
}

/** Offset of the first bad byte, or -1. */
export function firstBadByte(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length;) {
    const length = validLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return -1;
}

/** Number of bytes a string has in UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    length += c < 0x800 || (c >= 0xdc00 && c <= 0xdfff && i > 0 && isHigh(text.charCodeAt(i - 1))) ? 1 : 2;
    if (isHigh(c) && i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) length -= 1;
  }
  return length;
}

function isHigh(c: number): boolean {
  return (c & 0xfc00) === 0xd800;
}
