"""What transformers makes of an exported folder, for the tests of lib/export.

Usage: python hf_export.py FOLDER INPUT. INPUT is JSON: sentences (texts), ids (rows of piece ids with specials), segments
(rows of 0 and 1), fill (texts with one [MASK]). Prints one JSON: warnings while loading, ids of the sentences by the fast
and the slow tokenizer, prediction and order logits of the rows by AlbertForPreTraining, the largest difference of
AlbertForMaskedLM's, and the top five of the fill-mask pipeline.
"""
import base64
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

model, report = transformers.AlbertForPreTraining.from_pretrained(folder, output_loading_info=True)
masked, masked_report = transformers.AlbertForMaskedLM.from_pretrained(folder, output_loading_info=True)
fast = transformers.AutoTokenizer.from_pretrained(folder)
slow = transformers.AutoTokenizer.from_pretrained(folder, use_fast=False)
loading = list(seen)
keys = {name: sorted(str(key) for key in value) for name, value in report.items() if value}
masked_keys = {name: sorted(str(key) for key in value) for name, value in masked_report.items() if value}


def packed(rows):
    return [base64.b64encode(row.float().contiguous().numpy().tobytes()).decode() for row in rows]


predictions, orders, most = [], [], 0.0
with torch.no_grad():
    for ids, segments in zip(given["ids"], given["segments"]):
        inputs = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([segments])}
        out = model.eval()(**inputs)
        predictions.append(out.prediction_logits[0])
        orders.append(out.sop_logits[0])
        most = max(most, float((masked.eval()(**inputs).logits - out.prediction_logits).abs().max()))
fill = transformers.pipeline("fill-mask", model=masked, tokenizer=fast)
tops = [[(int(c["token"]), float(c["score"])) for c in fill(text)] for text in given["fill"]]
print(json.dumps({
    "version": transformers.__version__,
    "classes": [type(fast).__name__, type(slow).__name__],
    "warnings": loading, "keys": keys, "masked_keys": masked_keys,
    "fast": [fast(text)["input_ids"] for text in given["sentences"]],
    "slow": [slow(text)["input_ids"] for text in given["sentences"]],
    "pieces": [fast.convert_ids_to_tokens(fast(text, add_special_tokens=False)["input_ids"]) for text in given["fill"]],
    "predictions": packed(predictions), "orders": packed(orders), "masked_difference": most, "fill": tops,
}))
