"""Trains models of four types with odd flags, and says what SentencePiece makes of texts. Reads and writes JSON."""
import base64, json, os, sys, tempfile
import sentencepiece as spm

question = json.load(sys.stdin)
variants = {
    "guide": dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols="[CLS],[SEP],[MASK]", user_defined_symbols="(,),-,.,\u2013"),
    "byte": dict(byte_fallback=True, user_defined_symbols=["  ", "the", "th", "\u65e5\u672c", "\n"]),
    "suffix": dict(treat_whitespace_as_suffix=True, user_defined_symbols=["ing"]),
    "raw": dict(remove_extra_whitespaces=False, normalization_rule_name="identity", allow_whitespace_only_pieces=True),
    "open": dict(split_by_whitespace=False, split_by_unicode_script=False, add_dummy_prefix=False),
}
models = []
with tempfile.TemporaryDirectory() as place:
    text, prefix = os.path.join(place, "t.txt"), os.path.join(place, "m")
    open(text, "w", encoding="utf8").write("\n".join(question["lines"]) + "\n")
    for kind in ("unigram", "bpe", "word", "char"):
        for name, flags in variants.items():
            spm.SentencePieceTrainer.train(
                input=text, model_prefix=prefix, model_type=kind, vocab_size=600, hard_vocab_limit=False, minloglevel=2,
                num_threads=1, **flags)
            model = open(prefix + ".model", "rb").read()
            processor = spm.SentencePieceProcessor(model_proto=model)
            ids = [processor.encode(each) for each in question["texts"]]
            answer = {
                "name": kind + ", " + name,
                "model": base64.b64encode(model).decode(),
                "ids": ids,
                "pieces": [processor.encode(each, out_type=str) for each in question["texts"]],
                "decoded": [processor.decode(each) for each in ids],
            }
            if kind == "unigram":
                answer["best"] = [processor.nbest_encode_as_pieces(each[:40], 8) for each in question["texts"] if each]
            models.append(answer)
json.dump({"version": spm.__version__, "models": models}, sys.stdout)
