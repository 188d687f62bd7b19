"""ALBERT folders as transformers itself saves them, and what it makes of ours, for the tests of `albert import`.

make FOLDER CONFIG TOKENIZER: CONFIG is JSON of AlbertConfig's fields and `seed`, `shard` (a max_shard_size), `tokenizer`
("json" saves tokenizer.json by the fast class, "spiece" copies the SentencePiece file). Weights are random and large enough
that a swap shows; where E = H the mapping layer becomes the identity that ALBERT means.
same A B: compares all tensors of two folders, prints JSON with the names that differ, are only in A, only in B.
"""
import json
import os
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def make(folder, config_text, tokenizer):
    given = json.loads(config_text)
    seed, shard, kind = given.pop("seed"), given.pop("shard"), given.pop("tokenizer")
    torch.manual_seed(seed)
    model = transformers.AlbertForPreTraining(transformers.AlbertConfig(**given))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        mapping = model.albert.encoder.embedding_hidden_mapping_in
        if mapping.in_features == mapping.out_features:
            mapping.weight.copy_(torch.eye(mapping.in_features))
            mapping.bias.zero_()
    model.save_pretrained(folder, max_shard_size=shard)
    if kind == "json":
        transformers.AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    else:
        shutil.copy(tokenizer + "/spiece.model", folder + "/spiece.model")


def tensors(folder):
    model = transformers.AlbertForPreTraining.from_pretrained(folder).eval()
    return {name: value for name, value in model.state_dict().items()}


def same(a, b):
    one, two = tensors(a), tensors(b)
    different = [name for name in one if name in two and not torch.equal(one[name], two[name])]
    ids = torch.tensor([[2, 5, 6, 4, 3]])
    with torch.no_grad():
        gap = float((transformers.AlbertForPreTraining.from_pretrained(a).eval()(ids).prediction_logits
                     - transformers.AlbertForPreTraining.from_pretrained(b).eval()(ids).prediction_logits).abs().max())
    print(json.dumps({"different": different, "names": len(one), "gap": gap,
                      "only": sorted(set(one) ^ set(two))}))


{"make": make, "same": same}[sys.argv[1]](*sys.argv[2:])
