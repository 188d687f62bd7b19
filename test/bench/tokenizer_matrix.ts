// What the matrix bench trains on: texts that are hard for a tokenizer and sets of flags, both made from a seed alone.
import { numpyRandom, readEmbedded, type UnigramFileOptions } from "albert-guide";

/** Flags of one training, without the file names. */
export type FlagSet = Partial<Omit<UnigramFileOptions, "onProgress" | "signal" | "transform" | "input">>;

/** One training: which text, which flags. */
export type MatrixCase = { readonly text: string; readonly flags: FlagSet };

const words: { readonly [script: string]: string } = {
  cyrillic: "дом река кот где пела и Москва весна вода слово ночь",
  greek: "θάλασσα γη λόγος καὶ νῦν ἀρχή",
  hebrew: "שלום עולם ארץ מים",
  arabic: "السلام ماء أرض نور كتاب",
  hangul: "한국어 바다 하늘 사람",
  thai: "ทะเล แผ่นดิน น้ำ",
  devanagari: "नमस्ते पानी धरती",
  emoji: "😀 👩‍👩‍👧 🇩🇪 ❤️ 👍🏽 😀😀",
  marks: "é ñ Å̧ ệ ё ö",
  wide: "Ｗｏｒｌｄ ﾊﾟﾝ ﬁnden ² Ⅷ ㌔ ½ №",
  numbers: "1999 12.5 3,141 ٣٤ ２０ 0x1F 1st",
  signs: "... -- -,- ???!! «x» „y“ <s> </s> <unk> [CLS] ==== ~~~~ ____ ::::",
  controls: "a\tb c\u0001d e\u200bf g\ufeffh i\u00adj k\u000bl m\u0000n \u2581o p\u2585q r\r",
};
const kana = "今日は海に行きました空が青いどこで生れたかとんと見当がつかぬ東京のパンーを食べるアイウエオ";

/** A generator of whole numbers below a limit. */
export function wholeNumbers(seed: number): (limit: number) => number {
  const { u32 } = numpyRandom(seed);
  return (limit) => Math.floor(u32() / 2 ** 32 * limit);
}

/** Lines in many scripts, from real prose and made words, with all that goes wrong in files. */
export function mixedLines(seed: number, count: number, kinds: readonly string[]): string[] {
  const below = wholeNumbers(seed);
  const prose = kinds.flatMap((kind) =>
    kind === "kjv" || kind === "sotu" || kind === "handbuch"
      ? readEmbedded(kind).slice(0, 120).flatMap(({ paragraphs }) => paragraphs)
      : []
  );
  const made = kinds.filter((kind) => kind in words);
  const one = (): string => {
    const draw = below(20);
    if (kinds.includes("damage") && draw === 0) {
      return ["", " ", "  \t ", "x".repeat(5000), "▅", "a ▅ b"][below(6)] ?? "";
    }
    if (kinds.includes("japanese") && (draw < 6 || prose.length + made.length === 0)) {
      const start = below(kana.length - 8);
      return kana.slice(start, start + 3 + below(12)) +
        (below(2) ? "。" : kana.slice(below(20), 22 + below(9)));
    }
    if (made.length > 0 && (draw < 12 || prose.length === 0)) {
      const list = (words[made[below(made.length)] ?? ""] ?? "").split(" ");
      return Array.from({ length: 1 + below(9) }, () => list[below(list.length)]).join(
        [" ", "  ", " ", ""][below(4)],
      );
    }
    return prose.length === 0 ? "a" : prose[below(prose.length)] ?? "";
  };
  return Array.from({ length: count }, one);
}

/** The texts by name: lines as they are written to a file. */
export function matrixTexts(seed: number): { readonly [name: string]: readonly string[] } {
  const all = Object.keys(words);
  const mixed = mixedLines(seed, 1500, ["kjv", "sotu", "handbuch", "japanese", "damage", ...all]);
  const pairs = new Map<string, number>();
  for (const line of mixed.slice(0, 500)) {
    for (const word of line.split(/[ \t\r\n]+/)) if (word !== "") pairs.set(word, (pairs.get(word) ?? 0) + 1);
  }
  return {
    mixed,
    german: mixedLines(seed + 1, 900, ["handbuch"]),
    english: mixedLines(seed + 2, 1500, ["kjv", "sotu"]),
    japanese: mixedLines(seed + 3, 1200, ["japanese"]),
    scripts: mixedLines(seed + 4, 1500, [...all, "japanese"]),
    "rules.tsv": ["61\t62", "64 65 72\t44 45 52\tder", "2E", "e4\t61 65"],
    "symbols.list": ["[X]", "und", "é海"],
    "seeds.list": [
      "▁der\t900",
      "a\t3",
      "▁und\t700",
      "ung\t512",
      "ein\t600\tremark",
      "foo\t1",
      "a b\t9",
      "жы\t44",
    ].concat(
      [...pairs].filter(([, count]) => count > 1).map(([word, count]) => `▁${word}\t${count}`),
    ),
    tsv: [...pairs].map(([word, count]) => `${word}\t${count}`),
  };
}

const guide: FlagSet = {
  pad_id: 0,
  unk_id: 1,
  bos_id: -1,
  eos_id: -1,
  user_defined_symbols: ["(", ")", "”", "-", ".", "–", "£", "€"],
  control_symbols: ["[CLS]", "[SEP]", "[MASK]"],
  input_sentence_size: 10000000,
  character_coverage: 0.99995,
};

/** The fixed sets: every flag away from its default at least once, and what the guide and others use together. */
export function fixedCases(): MatrixCase[] {
  const soft = { hard_vocab_limit: false };
  const on = (text: string, ...sets: FlagSet[]): MatrixCase[] =>
    sets.map((flags) => ({ text, flags: { vocab_size: 600, ...flags } }));
  const normalizations = ["nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf", "identity"] as const;
  return [
    ...on("german", ...[1, 2, 3, 16].map((num_threads) => ({ ...guide, num_threads, vocab_size: 1500 }))),
    ...on("german", ...[200, 400, 800, 3000].map((vocab_size) => ({ ...guide, vocab_size }))),
    ...on("english", ...[300, 1000, 4000].map((vocab_size) => ({ ...guide, vocab_size, num_threads: 2 }))),
    ...on("english", { vocab_size: 25000, ...soft }, { vocab_size: 25000 }, { vocab_size: 30 }),
    ...on("japanese", ...[200, 250, 400].map((vocab_size) => ({ vocab_size, ...soft }))),
    ...on("japanese", { vocab_size: 300, split_by_unicode_script: false, ...soft }),
    ...on(
      "scripts",
      ...normalizations.map((normalization_rule_name) => ({ normalization_rule_name, ...soft })),
    ),
    ...on(
      "mixed",
      ...normalizations.map((normalization_rule_name) => ({ normalization_rule_name, vocab_size: 900 })),
    ),
    ...on("mixed", { byte_fallback: true, vocab_size: 900 }, { split_digits: true }, {
      split_by_number: false,
    }),
    ...on("mixed", { split_by_whitespace: false }, {
      split_by_unicode_script: false,
      split_by_number: false,
    }),
    ...on("mixed", { treat_whitespace_as_suffix: true }, { allow_whitespace_only_pieces: true }),
    ...on("mixed", { remove_extra_whitespaces: false }, {
      remove_extra_whitespaces: false,
      allow_whitespace_only_pieces: true,
    }),
    ...on("mixed", { add_dummy_prefix: false }, {
      add_dummy_prefix: false,
      treat_whitespace_as_suffix: true,
    }),
    ...on("mixed", { split_by_whitespace: false, treat_whitespace_as_suffix: true }),
    ...on("mixed", { character_coverage: 1, vocab_size: 1200 }, { character_coverage: 0.98 }, {
      required_chars: "äöüßéЖ海",
    }),
    ...on("mixed", { input_sentence_size: 101 }, { input_sentence_size: 400, shuffle_input_sentence: false }),
    ...on("mixed", { input_sentence_size: 1000, num_threads: 5 }),
    ...on("mixed", { max_sentence_length: 60 }, { max_sentence_length: 10000 }, {
      max_sentencepiece_length: 1,
      ...soft,
    }),
    ...on("mixed", { max_sentencepiece_length: 3 }, { max_sentencepiece_length: 40 }, {
      seed_sentencepiece_size: 1000,
    }),
    ...on("mixed", { seed_sentencepiece_size: 20, ...soft }, { shrinking_factor: 0.5 }, {
      shrinking_factor: 0.95,
    }),
    ...on("mixed", { num_sub_iterations: 1 }, { num_sub_iterations: 5 }, { num_threads: 7 }, {
      num_threads: 128,
    }),
    ...on("mixed", { vocabulary_output_piece_score: false }, { accept_language: ["de", "en"] }),
    ...on("mixed", { unk_id: 3, bos_id: -1, eos_id: 0, pad_id: 7 }, {
      unk_id: 2,
      bos_id: 10,
      eos_id: 20,
      pad_id: 30,
    }),
    ...on("mixed", { unk_piece: "[UNK]", bos_piece: "[B]", eos_piece: "[E]", pad_piece: "[P]", pad_id: 3 }),
    ...on("mixed", { unk_surface: "?", control_symbols: ["<pad>", "x"], pad_id: 4 }),
    ...on("mixed", { user_defined_symbols: ["the", "th", "e", "▁"] }, {
      control_symbols: ["<s>"],
      user_defined_symbols: ["</s>"],
    }),
    ...on("mixed", { user_defined_symbols: ["und", "und so", "😀"], character_coverage: 0.999 }),
    ...on("tsv", { input_format: "tsv", ...soft }, {
      input_format: "tsv",
      split_by_whitespace: false,
      ...soft,
    }),
    ...on("tsv", { input_format: "tsv", num_threads: 2, character_coverage: 1, ...soft }),
    ...on("tsv", { input_format: "text", ...soft }),
    ...on("mixed", { self_test_sample_size: 5, random_seed: 7 }, {
      self_test_sample_size: 1000,
      random_seed: 8,
    }),
    ...on("mixed", { denormalization_rule_tsv: "../rules.tsv" }, { normalization_rule_tsv: "../rules.tsv" }),
    ...on("mixed", { control_symbols_file: "../symbols.list", control_symbols: ["[A]"] }),
    ...on("mixed", { user_defined_symbols_file: "../symbols.list" }, {
      required_chars_file: "../symbols.list",
    }),
    ...on("mixed", { train_extremely_large_corpus: true }, { use_all_vocab: true }, { num_threads: 129 }),
    ...on("mixed", { self_test_sample_size: 1001 }, { character_coverage: 0.97 }, {
      input_sentence_size: 100,
    }),
    ...on("mixed", { shrinking_factor: 0.96 }, { num_sub_iterations: 11 }, { max_sentence_length: 9 }),
    ...on("mixed", { max_sentencepiece_length: 513 }, { unk_id: -1 }, { bos_id: 0 }, { eos_id: 600 }, {
      bos_piece: "",
    }),
    ...on("mixed", { control_symbols: ["a", "a"] }, { user_defined_symbols: ["<unk>"] }, {
      control_symbols: ["a", "", "b"],
    }),
    ...on("mixed", { pretokenization_delimiter: "e" }, { pretokenization_delimiter: "▁" }, {
      pretokenization_delimiter: "海",
    }),
    ...on("german", { pretokenization_delimiter: "en", split_by_whitespace: false }, {
      pretokenization_delimiter: "ss",
      num_threads: 3,
    }),
    ...on("tsv", { pretokenization_delimiter: "ee", input_format: "tsv", ...soft }),
    ...on("german", { seed_sentencepieces_file: "../seeds.list", ...soft }),
    ...on("german", { seed_sentencepieces_file: "../seeds.list", seed_sentencepiece_size: 300, ...soft }),
    ...on("tsv", {
      enable_differential_privacy: true,
      differential_privacy_clipping_threshold: 3,
      input_format: "tsv",
      ...soft,
    }),
    ...on("tsv", {
      enable_differential_privacy: true,
      differential_privacy_noise_level: 2.5,
      num_threads: 1,
      random_seed: 11,
      input_format: "tsv",
      ...soft,
    }),
  ];
}

/** Sets drawn at random: a handful of flags away from their defaults. */
export function randomCases(seed: number, count: number): MatrixCase[] {
  const below = wholeNumbers(seed);
  const pick = <T>(...values: T[]): T => values[below(values.length)] as T;
  const draws: readonly (() => FlagSet)[] = [
    () => ({ character_coverage: pick(0.98, 0.99, 0.999, 0.9999, 1) }),
    () => ({ num_threads: 1 + below(20) }),
    () => ({ num_sub_iterations: 1 + below(4) }),
    () => ({ shrinking_factor: 0.5 + below(46) / 100 }),
    () => ({ seed_sentencepiece_size: pick(100, 700, 5000, 100000) }),
    () => ({ max_sentencepiece_length: pick(1, 2, 5, 10, 30, 100) }),
    () => ({ max_sentence_length: pick(20, 100, 500, 20000) }),
    () => ({ input_sentence_size: 101 + below(1500) }),
    () => ({ shuffle_input_sentence: false, input_sentence_size: 101 + below(500) }),
    () => ({ split_by_unicode_script: false }),
    () => ({ split_by_whitespace: false }),
    () => ({ split_by_number: false }),
    () => ({ split_digits: true }),
    () => ({ treat_whitespace_as_suffix: true }),
    () => ({ allow_whitespace_only_pieces: true }),
    () => ({ remove_extra_whitespaces: false }),
    () => ({ add_dummy_prefix: false }),
    () => ({ byte_fallback: true }),
    () => ({ normalization_rule_name: pick("nfkc", "nfkc_cf", "nmt_nfkc_cf", "identity") }),
    () => ({ required_chars: pick("xyz", "äß海😀", "\u0301Ω") }),
    () => ({ user_defined_symbols: pick(["a", "ab"], ["der", "▁die"], [",", '"'], ["😀", "é"]) }),
    () => ({ control_symbols: pick(["[X]"], ["<s>"], ["e"]) }),
    () => ({ pad_id: 3 + below(10) }),
  ];
  return Array.from({ length: count }, () => {
    const flags: FlagSet = { vocab_size: pick(150, 300, 600, 1200, 2500), hard_vocab_limit: below(3) === 0 };
    const some = Array.from({ length: below(7) }, () => draws[below(draws.length)]?.() ?? {});
    const text = pick("mixed", "mixed", "scripts", "german", "english", "japanese", "tsv");
    return {
      text,
      flags: Object.assign({}, flags, ...some, text === "tsv" ? { input_format: "tsv" } : {}) as FlagSet,
    };
  });
}
