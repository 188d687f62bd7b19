"""Makes test/golden/spm/model_types.json.gz with the Python wheel of SentencePiece: a small model of each type, what it
makes of some texts, and for unigram the twenty best segmentations of each.

Usage: python model_types.py KJV_TEXT OUTPUT. Needs: pip install sentencepiece==0.2.1
"""
import base64
import gzip
import json
import os
import random
import sys
import tempfile

import sentencepiece as spm

source, target = sys.argv[1:3]
lines = [line.strip() for line in open(source, encoding="utf-8") if line.strip()][:3000]
random.seed(3)
texts = random.sample(lines, 25) + [line.upper() for line in random.sample(lines, 3)] + [
    "Ünïcödé ﬁ ½ Ａ１", "  a   b  ", "====== ____ ::::", "[CLS] a <unk> <s>", "日本語 하", "£5 (a)–b… €", "a👍b👍👍", "", " ",
    "▁a ▁", "ab" * 40, "the the the theth", "(the)(the) -- -",
]
cases = {}
with tempfile.TemporaryDirectory() as folder:
    text = os.path.join(folder, "text.txt")
    open(text, "w", encoding="utf-8").write("\n".join(lines))
    for kind in ["unigram", "bpe", "word", "char"]:
        for fallback in [False, True]:
            if kind == "word" and fallback:
                continue
            prefix = os.path.join(folder, "model")
            size = (60 if kind == "char" else 300) + (256 if fallback else 0)
            spm.SentencePieceTrainer.train(
                input=text, model_prefix=prefix, model_type=kind, vocab_size=size, hard_vocab_limit=False,
                user_defined_symbols=["(", ")", "the", "£"], control_symbols=["[CLS]"], byte_fallback=fallback,
                normalization_rule_name="identity", minloglevel=2)
            model = open(prefix + ".model", "rb").read()
            processor = spm.SentencePieceProcessor(model_proto=model)
            case = {
                "model": base64.b64encode(model).decode(),
                "pieces": [processor.encode(each, out_type=str) for each in texts],
                "ids": [processor.encode(each) for each in texts],
                "decoded": [processor.decode(processor.encode(each)) for each in texts],
            }
            if kind == "unigram":
                case["best"] = [processor.nbest_encode_as_pieces(each[:50], 20) for each in texts]
            cases[kind + ("_bytes" if fallback else "")] = case
with gzip.GzipFile(target, "wb", mtime=0) as out:
    out.write(json.dumps({"texts": texts, "cases": cases}, ensure_ascii=False, sort_keys=True).encode())
