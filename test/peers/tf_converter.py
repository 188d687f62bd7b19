"""transformers 4's own converter on an exported TensorFlow checkpoint, beside the exported Hugging Face folder.

Usage: python tf_converter.py HF_FOLDER TF_PREFIX. Needs transformers 4, PyTorch and TensorFlow in one Python. Prints one JSON:
the names whose values differ, and how many were compared.
"""
import json
import logging
import sys

logging.disable(logging.INFO)
import torch
from transformers import AlbertConfig, AlbertForPreTraining
from transformers.models.albert.modeling_albert import load_tf_weights_in_albert

folder, prefix = sys.argv[1:3]
direct = AlbertForPreTraining.from_pretrained(folder).state_dict()
converted = AlbertForPreTraining(AlbertConfig.from_pretrained(folder))
for parameter in converted.parameters():
    torch.nn.init.constant_(parameter, 7.0)
sys.stdout, out = sys.stderr, sys.stdout
load_tf_weights_in_albert(converted, converted.config, prefix)
found = converted.state_dict()
different = [name for name in direct if not torch.equal(direct[name], found[name])]
print(json.dumps({"different": different, "compared": len(direct)}), file=out)
