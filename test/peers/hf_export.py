"""What transformers makes of an exported folder, for the tests of lib/export.

Usage: python hf_export.py FOLDER INPUT. INPUT is JSON: sentences (texts), ids (rows of piece ids with specials), segments
(rows of 0 and 1), fill (texts with one [MASK]). Prints one JSON: warnings and keys left over while loading, ids of the
sentences by the fast and the slow tokenizer, prediction logits of the rows by AlbertForMaskedLM, order logits by
AlbertForPreTraining and how far its predictions differ, the top five of the fill-mask pipeline, and what the hub reads of a model card.
"""
import base64
import json
import logging
import os
import sys
import warnings

seen = []


class Collect(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())


warnings.showwarning = lambda message, *_: seen.append(str(message))
import huggingface_hub
import torch
import transformers

transformers.logging.set_verbosity_warning()
transformers.logging.disable_progress_bar()
logging.getLogger("transformers").addHandler(Collect())
folder, given = sys.argv[1], json.load(open(sys.argv[2]))

architecture = json.load(open(folder + "/config.json"))["architectures"][0]


def loaded(kind):
    begin = len(seen)
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    keys = {name: sorted(str(key) for key in value) for name, value in report.items() if value}
    return model.eval(), keys, seen[begin:]


masked, masked_keys, masked_warnings = loaded(transformers.AlbertForMaskedLM)
model, keys, warned = masked, {}, []
if architecture == "AlbertForPreTraining":
    model, keys, warned = loaded(transformers.AlbertForPreTraining)
begin = len(seen)
fast = transformers.AutoTokenizer.from_pretrained(folder)
slow = transformers.AutoTokenizer.from_pretrained(folder, use_fast=False)
warned = warned + seen[begin:]


def packed(rows):
    return [base64.b64encode(row.float().contiguous().numpy().tobytes()).decode() for row in rows]


predictions, orders, most = [], [], 0.0
with torch.no_grad():
    for ids, segments in zip(given["ids"], given["segments"]):
        inputs = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([segments])}
        logits = masked(**inputs).logits
        predictions.append(logits[0])
        if architecture == "AlbertForPreTraining":
            out = model(**inputs)
            orders.append(out.sop_logits[0])
            most = max(most, float((logits - out.prediction_logits).abs().max()))
fill = transformers.pipeline("fill-mask", model=masked, tokenizer=fast)
tops = [[(int(c["token"]), float(c["score"])) for c in fill(text)] for text in given["fill"]]
card = folder + "/README.md"
print(json.dumps({
    "card": huggingface_hub.ModelCard.load(card).data.to_dict() if os.path.exists(card) else {},
    "version": transformers.__version__,
    "classes": [type(fast).__name__, type(slow).__name__],
    "warnings": warned, "keys": keys, "masked_warnings": masked_warnings, "masked_keys": masked_keys,
    "pair": dict(fast("a b", "c")),
    "fast": [fast(text)["input_ids"] for text in given["sentences"]],
    "slow": [slow(text)["input_ids"] for text in given["sentences"]],
    "pieces": [fast.convert_ids_to_tokens(fast(text, add_special_tokens=False)["input_ids"]) for text in given["fill"]],
    "predictions": packed(predictions), "orders": packed(orders), "masked_difference": most, "fill": tops,
}))
