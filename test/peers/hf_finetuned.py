"""What transformers makes of an exported fine-tuned folder, for the tests of lib/export.

Usage: python hf_finetuned.py FOLDER INPUT. INPUT is JSON: texts (rows of one or two texts) or words (rows of words). Prints
one JSON: the class, warnings and keys left over while loading, id2label, and for each row the ids and the logits.
"""
import json
import logging
import sys
import warnings

seen = []


class Collect(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())


warnings.showwarning = lambda message, *_: seen.append(str(message))
import torch
import transformers

transformers.logging.set_verbosity_warning()
transformers.logging.disable_progress_bar()
logging.getLogger("transformers").addHandler(Collect())
folder, given = sys.argv[1], json.load(open(sys.argv[2]))
name = json.load(open(folder + "/config.json"))["architectures"][0]
auto = {
    "AlbertForSequenceClassification": transformers.AutoModelForSequenceClassification,
    "AlbertForTokenClassification": transformers.AutoModelForTokenClassification,
}[name]
model, report = auto.from_pretrained(folder, output_loading_info=True)
model.eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
rows = []
with torch.no_grad():
    for texts in given.get("texts", []):
        inputs = tokenizer(*texts, return_tensors="pt")
        rows.append({"ids": inputs["input_ids"][0].tolist(), "logits": model(**inputs).logits[0].tolist()})
    for words in given.get("words", []):
        inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        places = inputs.word_ids(0)
        first = [places.index(word) for word in range(len(words))]
        logits = model(**inputs).logits[0]
        rows.append({"ids": inputs["input_ids"][0].tolist(), "logits": logits[first].flatten().tolist()})
print(json.dumps({
    "class": type(model).__name__,
    "warnings": seen,
    "keys": {key: sorted(str(name) for name in value) for key, value in report.items() if value},
    "id2label": model.config.id2label,
    "rows": rows,
}))
