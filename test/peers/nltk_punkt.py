"""NLTK's Punkt beside ours. Reads a JSON object from standard input:
{"tables": folder of punkt_tab, "texts": [...], "train": bool}; prints {"sentences", "seconds", "characters", "trained"}."""
import json
import sys
import time

import nltk.data
from nltk.tokenize.punkt import (
    PunktSentenceTokenizer,
    PunktTrainer,
    load_punkt_params,
    save_punkt_params,
)

asked = json.load(sys.stdin)
nltk.data.path.append(asked["tables"])  # NLTK 3.10 writes and reads only below its own folders
result = {}
if asked.get("train"):
    start = time.perf_counter()
    trainer = PunktTrainer("\n\n".join(asked["texts"]))
    params = trainer.get_params()
    result["seconds"] = time.perf_counter() - start
    save_punkt_params(params, dir=asked["tables"])
else:
    tokenizer = PunktSentenceTokenizer()
    tokenizer._params = load_punkt_params(nltk.data.FileSystemPathPointer(asked["tables"]))
    start = time.perf_counter()
    result["sentences"] = [tokenizer.tokenize(text) for text in asked["texts"]]
    result["seconds"] = time.perf_counter() - start
json.dump(result, sys.stdout)
