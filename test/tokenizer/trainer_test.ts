import assert from "node:assert/strict";
import { loadSentencePiece, type Progress, trainUnigram } from "albert-guide";
import { goldenVocab, guideFlags, kjvVerses, md5 } from "./kjv.ts";

const small = Array.from({ length: 120 }, (_, i) => {
  const subjects = ["the sea", "the land", "a ship", "the sand"];
  const verbs = ["was good", "is wide", "gave light", "turned dark"];
  return `${subjects[i % 4]} ${verbs[(i * 7) % 4]} ${["then", "now", "again"][i % 3]}`;
});
const plain = { normalization_rule_name: "identity" } as const;

Deno.test("trainUnigram() writes spm_train's bytes when trained on the King James Bible", async () => {
  const seen: Progress[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 20);
  const { vocab, model, report } = await trainUnigram(kjvVerses(), {
    ...guideFlags,
    vocab_size: 997,
    onProgress: (progress) => seen.push(progress),
  });
  clearInterval(timer);
  assert.equal(vocab, goldenVocab("h_kjv_v1000_t16"));
  assert.equal(report.sentences, 31102);
  assert.equal(report.vocab_size, 997);
  assert.equal(report.alphabet, 56);
  assert.ok(turns > 10, `the event loop came to its turn ${turns} times`);
  for (const stage of ["alphabet", "seed pieces", "words", "pieces in words", "EM and pruning"]) {
    const reports = seen.filter((report) => report.stage === `tokenizer: ${stage}`);
    assert.equal(reports[0]?.done, 0, stage);
    assert.equal(reports.at(-1)?.done, reports.at(-1)?.total, stage);
    reports.reduce((before, { done }) => (assert.ok(done >= before, stage), done), 0);
  }
  for (const { done, total } of seen) assert.ok(total === undefined || done <= total);
  const tokenizer = loadSentencePiece(model);
  assert.deepEqual(tokenizer.pieces.slice(0, 5).map((p) => p.type), [
    "control",
    "unknown",
    "control",
    "control",
    "control",
  ]);
});

// The three generations on the first 2,000 verses: hashes from the code that equals spm_train on all twelve goldens.
for (
  const [spm_version, hash] of [["0.1.97", "4e42d930724c"], ["0.2.0", "138868dfc2e9"], [
    "0.2.2",
    "eef336c3aeea",
  ]] as const
) {
  Deno.test(`trainUnigram() keeps the pieces of ${spm_version} when it trains on fewer verses`, async () => {
    const { vocab } = await trainUnigram(kjvVerses().slice(0, 2000), {
      ...guideFlags,
      ...plain,
      vocab_size: 1500,
      num_threads: 3,
      spm_version,
    });
    assert.equal(md5(vocab), hash);
  });
}

Deno.test("trainUnigram() gives the same file twice and for every kind of iterable", async () => {
  async function* slowly(): AsyncGenerator<string> {
    for (const line of small) yield await Promise.resolve(line);
  }
  const options = { ...plain, vocab_size: 30 };
  const first = await trainUnigram(small, options);
  const second = await trainUnigram(slowly(), options);
  assert.deepEqual(second.model, first.model);
});

Deno.test("trainUnigram() gives the same file however many threads count", async () => {
  const lines = kjvVerses().slice(0, 300);
  for (const num_threads of [3, 16]) {
    const options = { ...plain, vocab_size: 300, num_threads };
    const alone = await trainUnigram(lines, { ...options, workers: 1 });
    const three = await trainUnigram(lines, { ...options, workers: 3 });
    assert.deepEqual(three.model, alone.model);
    assert.deepEqual(three.report.rounds, alone.report.rounds);
  }
  await assert.rejects(
    trainUnigram(lines, { ...plain, workers: 0 }),
    /workers is 0, expected a whole number/,
  );
});

Deno.test("trainUnigram() puts meta pieces where their ids say and fills gaps with learned ones", async () => {
  const { vocab } = await trainUnigram(small, {
    ...plain,
    vocab_size: 30,
    unk_id: 2,
    bos_id: -1,
    eos_id: -1,
    pad_id: 5,
    control_symbols: ["<pad>", "[CLS]"],
    user_defined_symbols: ["sea"],
  });
  const pieces = vocab.split("\n").map((line) => line.split("\t")[0]);
  // [CLS] takes the first free id, 0; sea the next, 1; <pad> keeps its own.
  assert.deepEqual([pieces[0], pieces[1], pieces[2], pieces[5]], ["[CLS]", "sea", "<unk>", "<pad>"]);
  assert.notEqual(pieces[3], "");
});

Deno.test("trainUnigram() skips empty, long and reserved lines and says how many", async () => {
  const { report } = await trainUnigram([...small, "", "x".repeat(50), "ä".repeat(30), "a ▅ b"], {
    ...plain,
    vocab_size: 30,
    max_sentence_length: 49,
  });
  assert.deepEqual(report.skipped, { empty: 1, tooLong: 2, reserved: 1 });
  assert.equal(report.sentences, 120);
});

Deno.test("trainUnigram() applies transform before anything else", async () => {
  const upper = small.map((line) => line.toUpperCase());
  const options = { ...plain, vocab_size: 30 };
  const { vocab } = await trainUnigram(upper, { ...options, transform: (line) => line.toLowerCase() });
  assert.equal(vocab, (await trainUnigram(small, options)).vocab);
});

Deno.test("trainUnigram() cuts digits, words and scripts as the flags say", async () => {
  const lines = Array.from(
    { length: 90 },
    (_, i) => `in 1999 abc${i % 3}def of дом${i % 2}dom 12 b2${"bcd"[i % 3]}`,
  );
  const pieces = async (flags: object): Promise<string[]> =>
    (await trainUnigram(lines, { ...plain, vocab_size: 400, hard_vocab_limit: false, ...flags }))
      .vocab.split("\n").map((line) => line.split("\t")[0] ?? "");
  const standard = await pieces({});
  assert.ok(standard.some((piece) => /\d\d/.test(piece)));
  assert.ok(!standard.some((piece) => /[a-z]\d|[а-я][a-z]/.test(piece)));
  assert.ok(!(await pieces({ split_digits: true })).some((piece) => /\d./.test(piece)));
  assert.ok((await pieces({ split_by_unicode_script: false })).some((piece) => /[a-zа-я]\d/.test(piece)));
  const across = await pieces({ split_by_whitespace: false, split_by_unicode_script: false });
  assert.ok(across.some((piece) => /.▁./.test(piece)) && !across.some((piece) => /.▁$/.test(piece)));
  const suffixed = await pieces({ treat_whitespace_as_suffix: true });
  assert.ok(suffixed.some((piece) => /.▁$/.test(piece)) && !suffixed.some((piece) => /^▁./.test(piece)));
});

Deno.test("trainUnigram() counts a tsv line as often as its frequency says", async () => {
  const weighted = ["the sea\t30", "the land\t10"];
  const options = { ...plain, vocab_size: 12, hard_vocab_limit: false, spm_version: "0.1.97" } as const;
  const { report } = await trainUnigram(weighted, { ...options, input_format: "tsv" });
  assert.equal(report.characters, 30 * "▁the▁sea".length + 10 * "▁the▁land".length);
  await assert.rejects(trainUnigram(["no tab"], { ...options, input_format: "tsv" }), /line 1 is no tsv/);
});

Deno.test("trainUnigram() samples the same sentences every time when input_sentence_size is smaller", async () => {
  const options = { ...plain, vocab_size: 30, input_sentence_size: 101 };
  const first = await trainUnigram(small, options);
  assert.equal(first.report.sentences, 101);
  assert.equal((await trainUnigram(small, options)).vocab, first.vocab);
  const taken = await trainUnigram(small, { ...options, shuffle_input_sentence: false });
  assert.equal(taken.vocab, (await trainUnigram(small.slice(0, 101), { ...plain, vocab_size: 30 })).vocab);
});

Deno.test("trainUnigram() finds the seeds of a last sentence that stands in the text before, as 0.2.2 does", async () => {
  const last = "darkness fell over waters";
  const lines = [...small, last, ...small, last, small[0] ?? "", last];
  const options = { ...plain, vocab_size: 80, hard_vocab_limit: false, spm_version: "0.2.2" } as const;
  assert.equal(md5((await trainUnigram(lines, options)).vocab), "c9502fa33d17"); // of the file that the wheel wrote
});

Deno.test("trainUnigram() draws the sample of the wheel of 0.2.0", async () => {
  const lines = Array.from(
    { length: 6000 },
    (_, i) => (i * i).toString(3).replace(/./g, (digit) => "abc"[Number(digit)] ?? ""),
  );
  const options = { ...plain, vocab_size: 60, hard_vocab_limit: false, input_sentence_size: 2000 };
  assert.equal(md5((await trainUnigram(lines, options)).vocab), "f1842305d960"); // of the file that the wheel wrote
});

Deno.test("trainUnigram() names the largest possible vocabulary when vocab_size is too high", async () => {
  await assert.rejects(trainUnigram(small, { ...plain, vocab_size: 5000 }), (error: Error) => {
    assert.ok(error instanceof RangeError);
    const most = Number(/at most (\d+) pieces/.exec(error.message)?.[1]);
    assert.ok(most > 20 && most < 5000);
    assert.match(error.message, /hard_vocab_limit to false/);
    return true;
  });
  const { report, model } = await trainUnigram(small, {
    ...plain,
    vocab_size: 5000,
    hard_vocab_limit: false,
  });
  assert.equal(loadSentencePiece(model).model.trainer_spec?.["vocab_size"], report.vocab_size);
  const again = await trainUnigram(small, { ...plain, vocab_size: report.vocab_size });
  assert.equal(again.report.vocab_size, report.vocab_size);
});

Deno.test("trainUnigram() says what is wrong when nothing can be trained", async () => {
  await assert.rejects(trainUnigram([], plain), /no sentence is left of 0 lines/);
  await assert.rejects(trainUnigram(["", "   "], plain), TypeError);
  await assert.rejects(trainUnigram("the sea", plain), /one string was given/);
  await assert.rejects(
    trainUnigram(small, { ...plain, vocab_size: 10 }),
    /vocab_size is 10, but the alphabet has 18/,
  );
  await assert.rejects(
    trainUnigram(small, { unk_id: 1, bos_id: 1, vocab_size: 0, character_coverage: 0.5 }),
    /vocab_size is 0.*character_coverage is 0.5.*bos_id and unk_id are both 1/,
  );
  await assert.rejects(trainUnigram(small, { ...plain, unk_id: -1 }), /unk_id is -1/);
  await assert.rejects(trainUnigram(small, { ...plain, pad_id: 9000 }), /pad_id is 9000, expected below/);
  await assert.rejects(
    trainUnigram(small, { ...plain, control_symbols: ["a", "a"] }),
    /"a", which is already/,
  );
  const misspelt = { ...plain, vocabsize: 30 } as unknown as object;
  await assert.rejects(trainUnigram(small, misspelt), /vocabsize is no flag/);
  const wrong = { ...plain, vocab_size: "30" } as unknown as object;
  await assert.rejects(trainUnigram(small, wrong), /vocab_size is "30", expected a number/);
});

Deno.test("trainUnigram() trains on single words, astral characters and repeated characters", async () => {
  for (const lines of [["word"], ["a a a"], ["😀😀😀 😀😁", "😁😀"], ["ab".repeat(500)], ["x\r", "y\r"]]) {
    const { vocab } = await trainUnigram(lines, { ...plain, vocab_size: 50, hard_vocab_limit: false });
    assert.ok(vocab.startsWith("<unk>\t0\n<s>\t0\n</s>\t0\n"));
  }
});

Deno.test("trainUnigram() stops when its signal is aborted", async () => {
  const stop = new AbortController();
  const training = trainUnigram(kjvVerses(), { ...plain, vocab_size: 1000, signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 100);
  await assert.rejects(training, /enough/);
});
