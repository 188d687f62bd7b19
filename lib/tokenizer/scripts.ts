/**
 * The script of a character as spm_train sees it: Unicode 9.0, where everything assigned later is Common. The
 * running engine knows newer tables, so the code points of 9.0 with a script of their own are listed here and only
 * their script is asked from the engine. Ranges made with Perl's `\p{Present_In: 9.0}`; a test counts them.
 */

/** Scripts that are not one of these names count as Common. */
const scriptNames = `Latin Cyrillic Greek Han Hangul Arabic Hebrew Armenian Georgian Devanagari Thai Inherited
Hiragana Katakana Adlam Ahom Anatolian_Hieroglyphs Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo
Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Coptic Cuneiform
Cypriot Deseret Duployan Egyptian_Hieroglyphs Elbasan Ethiopic Glagolitic Gothic Grantha Gujarati Gurmukhi Hanunoo
Hatran Imperial_Aramaic Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Kayah_Li Kharoshthi Khmer
Khojki Khudawadi Lao Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Malayalam Mandaic Manichaean Marchen
Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean
New_Tai_Lue Newa Nko Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian
Old_South_Arabian Old_Turkic Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician
Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sora_Sompeng Sundanese
Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangut Telugu Thaana Tibetan Tifinagh
Tirhuta Ugaritic Vai Warang_Citi Yi`;

/** Base-36 pairs: gap from the last range's end, then length - 1. */
const assignedIn9 =
  "1t p 7 p 1c 0 g 0 6 m 2 u 2 cg 14 4 6 1 l 37 2 2 3 3 2 0 5 0 2 0 2 2 2 0 2 j 2 b0 2 11 3 6 2 12 2 " +
  "1 3 2 2 1i 9 q 6 4 c 4 2 5 2 d 2 0 2 0 2 v 2 4b 2 1b 2 1n 3 2s f 1m 6 19 3 e 2 r 3 0 1u k 2 7 n d " +
  "2 3k 3 t 2 7 3 1 3 l 2 6 2 0 4 3 3 8 3 1 3 3 9 0 5 1 2 4 3 l 6 2 2 5 5 1 3 l 2 6 2 1 2 1 2 1 3 0 " +
  "2 4 5 1 3 2 4 0 8 3 2 0 8 f c 2 2 8 2 2 2 l 2 6 2 1 2 4 3 9 2 2 2 2 3 0 g 3 3 b 8 0 8 2 2 7 3 1 3 " +
  "l 2 6 2 1 2 4 3 8 3 1 3 2 9 1 5 1 2 4 3 h b 1 2 5 4 2 2 3 4 1 2 0 2 1 4 1 4 2 4 b 5 4 4 2 2 3 3 0 " +
  "7 0 f k 6 3 2 7 2 2 2 m 2 f 4 7 2 2 2 3 8 1 2 2 6 3 3 9 9 b 2 7 2 2 2 m 2 9 2 4 3 8 2 2 2 3 8 1 8 " +
  "0 2 3 3 9 2 1 f 2 2 7 2 2 2 14 3 7 2 2 2 5 5 f 3 p 3 1 2 h 4 n 2 8 2 0 3 6 4 0 5 5 2 0 2 7 7 9 3 " +
  "2 d 1l 6 r 12 1 2 0 3 1 2 0 3 0 7 3 2 6 2 2 2 0 2 0 3 1 2 c 2 2 3 4 2 0 2 5 3 9 3 3 x 1z 2 z 5 12 " +
  "2 z 2 e 2 6 5 1 12 5h 2 0 6 0 3 16 2 98 2 3 3 6 2 0 2 3 3 14 2 3 3 w 2 3 3 6 2 0 2 3 3 e 2 1k 2 3 " +
  "3 1u 3 v 4 p 7 2d 3 5 3 ik 4 22 4 a 8 c 2 6 c k c j d c 2 2 2 1 d 2l 3 9 7 9 7 1 3 0 2 8 2 9 7 2f " +
  "9 16 6 1x b u 2 b 5 b 5 0 4 15 3 4 c 17 5 p 7 a 4 1p 3 1s 2 s 3 a 7 9 7 d 3 e 1u 23 5 18 4 37 9 " +
  "1n 4 e 4 1n 1k 7 9 2 2 c 2 6 5 0 7 0 4 1 7 6t 6 7u 3 5 3 11 3 5 3 7 2 0 2 0 2 0 2 u 3 1g 2 e 2 d " +
  "3 5 2 i 3 2 2 8 e 1 2s 0 e 0 h c 1g w 1i 0 4 1 7 0 s 0 i 14 1a0 73 ld 1a 2 1a 2 43 6 18 2 0 6 0 3 " +
  "1j 8 1 f n a 6 2 6 2 6 2 6 2 6 2 6 2 6 2 6 2 v 3l p 2 2g d 5x 1c 0 2 0 q e 9 3 6 2d 3 1 3 2 2 2h " +
  "3 2 6 14 4 2l i q 1i 1a 1u u 2a 1a 2 2f 4p 52t 23 g5x 17 wc 4 1i a 9n l 53 17 2t 4 z 2 7 1s 1g l " +
  "1j 9 1x 9 b 7 t 3 19 2 10 c t 4 25 3 9 5 w 2 1i a d 3 9 3 2u p r b 5 3 5 3 5 a 6 2 6 2 16 2 9 b " +
  "3h 3 9 7 8mb d m 5 1c 6it a5 3 2x 13 6 d 4 6 p 2 4 2 0 2 1 2 1 2 3f i a2 j 1r 3 1h 15 d 3 f h f " +
  "1t 4 2 3q 11 p 7 p c 9 2 18 3 u 4 5 3 5 3 5 3 2 10 b 2 p 2 i 2 1 2 e 3 d z 3e 1y 26 i 0 2l 0 3n s " +
  "4 1c g 0 w z d q 6 16 6 t 2 10 5 d 17 4d 3 9 7 z 5 z 5 13 9 1f c 0 41 8m a l b 7 49 5 3 0 2 17 2 " +
  "1 4 0 3 m 2 1z 9 8 1d i 2 1 6 w 4 q 6 0 1t 1j 5 j 3 1d 2 1 6 7 2 2 2 q 5 2 5 8 9 8 8 1r x 12 5 b " +
  "a 1h 4 s 3 q 6 p 8 3 d 6 29 20 1k 1e e 1e 8 5 9t u aq 25 5 t g 1u f o 8 9 7 1g 2 d d 12 a 25 3 f " +
  "2 j c h 2 17 1u 6 2 0 2 3 2 e 2 a 7 1m 6 9 7 3 2 7 3 1 3 l 2 6 2 1 2 4 3 8 3 1 3 2 3 0 7 0 6 6 3 " +
  "6 4 4 3w 2h 2 0 2 0 z 1z 9 9 4n 1h 3 11 z 1w c 9 7 c k 1j 9 9 1j p 4 e 5 f 9t 2a d 0 ch 1k 7c 8 2 " +
  "18 2 d b s 4 v 3 l 2 d ne pl 2v 32 2 4 c 5f 24d tq 34i g6 6nu fs 8 u 2 9 5 1 2p t 3 5 b 1x b 9 2 " +
  "6 2 k 6 i oh 1w c 1a h g 1t 0 w 4q4 k ky 7bi 1 2db 2y 6 c 4 8 8 9 3 3 43s 2 i 7 3 6 v 3 2b 1x 14r " +
  "i3 g 4 2 e 11t 6 2 g 3 6 2 1 2 4 1jq 5g 3 f 16 22 6 9 5 1 wx 3 2 q 2 1 2 0 3 0 2 9 2 3 2 0 2 0 7 " +
  "0 5 0 2 0 2 0 2 2 2 1 2 0 3 0 2 0 2 0 2 0 2 0 2 1 2 0 3 3 2 6 2 3 2 3 2 0 2 9 2 g 6 2 2 4 2 g 1h " +
  "1 lr 0 2rk wye 16 378 c 65 3 4g1 867 f1 fhlv 6n ";

/** Script number of Common. */
export const commonScript = 0;
/** Script number of Inherited: takes the script of the character before. */
export const inheritedScript = 1;
/** Script number of a character that goes with every script. */
export const anyScript = 2;

let shared: ((codePoint: number) => number) | undefined;

/**
 * The lookup from code point to script number, made once per process. Hiragana, Katakana and U+30FC count as Han.
 *
 * @returns A function that remembers what it has found.
 */
export function scriptLookup(): (codePoint: number) => number {
  return shared ??= makeScriptLookup();
}

function makeScriptLookup(): (codePoint: number) => number {
  const names = scriptNames.split(/\s+/);
  const han = names.indexOf("Han") + 3;
  const patterns = names.map((name) => new RegExp(`^\\p{Script=${name}}$`, "u"));
  const listed = listedIn9();
  const known = new Map<number, number>([[0x589, commonScript], [0x61c, commonScript], [0x30fc, han]]);
  const devanagari = names.indexOf("Devanagari") + 3;
  known.set(0x953, devanagari).set(0x954, devanagari); // Inherited only since Unicode 10
  return (codePoint) => {
    const found = known.get(codePoint);
    if (found !== undefined) return found;
    let script = commonScript;
    if (listed(codePoint)) {
      const character = String.fromCodePoint(codePoint);
      const index = patterns.findIndex((pattern) => pattern.test(character));
      const name = names[index];
      if (name === "Inherited") script = inheritedScript;
      else if (name === "Hiragana" || name === "Katakana") script = han;
      else if (index >= 0) script = index + 3;
    }
    known.set(codePoint, script);
    return script;
  };
}

/** Whether a code point had a script of its own in Unicode 9.0. */
export function listedIn9(): (codePoint: number) => boolean {
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  const numbers = assignedIn9.trim().split(" ").map((digits) => parseInt(digits, 36));
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    at += numbers[i] as number;
    starts.push(at);
    at += numbers[i + 1] as number;
    ends.push(at);
  }
  return (codePoint) => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as number) < codePoint) low = middle + 1;
      else high = middle;
    }
    return low < starts.length && (starts[low] as number) <= codePoint;
  };
}
