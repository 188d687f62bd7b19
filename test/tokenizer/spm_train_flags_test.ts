// The flags of `albert tokenizer` against those that `spm_train --help` lists: names and defaults, 0.1.97 and what 0.2.0 adds.
import assert from "node:assert/strict";
import { tokenizer } from "../../lib/commands/tokenizer.ts";

const listed = `
input input_format model_prefix model_type=unigram vocab_size=8000 accept_language self_test_sample_size=0
character_coverage=0.9995 input_sentence_size=0 shuffle_input_sentence=true seed_sentencepiece_size=1000000
shrinking_factor=0.75 num_threads=16 num_sub_iterations=2 max_sentencepiece_length=16 max_sentence_length=4192
split_by_unicode_script=true split_by_number=true split_by_whitespace=true split_digits=false
treat_whitespace_as_suffix=false allow_whitespace_only_pieces=false control_symbols control_symbols_file
user_defined_symbols user_defined_symbols_file required_chars required_chars_file byte_fallback=false
vocabulary_output_piece_score=true normalization_rule_name=nmt_nfkc normalization_rule_tsv denormalization_rule_tsv
add_dummy_prefix=true remove_extra_whitespaces=true hard_vocab_limit=true use_all_vocab=false unk_id=0 bos_id=1 eos_id=2
pad_id=-1 unk_piece=<unk> bos_piece=<s> eos_piece=</s> pad_piece=<pad> unk_surface train_extremely_large_corpus=false
random_seed=4294967295 enable_differential_privacy=false differential_privacy_noise_level=0
differential_privacy_clipping_threshold=0 seed_sentencepieces_file pretokenization_delimiter`;

Deno.test("the tokenizer command has every flag of spm_train with its default", () => {
  const names = listed.trim().split(/\s+/).map((entry) => entry.split("=") as [string, string | undefined]);
  assert.equal(names.length, 53);
  for (const [name, value] of names) {
    const flag = tokenizer.flags[name];
    assert.ok(flag !== undefined, `--${name} is missing`);
    if (value !== undefined) assert.equal(String(flag.default), value, name);
    else if (name !== "unk_surface") assert.ok(flag.default === undefined || flag.default === "", name);
  }
  assert.equal(tokenizer.flags["unk_surface"]?.default, " \u2047 ");
});
