"""ALBERT's pretraining in plain JAX, side by side with ours: same weights, same batches, no dropout, LAMB or AdamW.

Usage: python pretrain_parity.py FOLDER. The folder holds config.json (architecture and run), weights.safetensors and
batches.safetensors (each array stacked over steps). Prints the loss of every step, one number a line, and writes the last
weights to final.safetensors. Written from the paper and the published formulas, in a shape of its own: a dictionary of
arrays and one function.
"""
import json
import re
import struct
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

KINDS = {"F32": np.float32, "I32": np.int32}


def load(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], KINDS[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays


def save(path, arrays):
    header, offset = {}, 0
    for name in sorted(arrays):
        end = offset + arrays[name].nbytes
        header[name] = {"dtype": "F32", "shape": list(arrays[name].shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(arrays[n].tobytes() for n in sorted(arrays)))


def losses(w, batch, config):
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    act = {"gelu": lambda x: jax.nn.gelu(x, approximate=True), "relu": jax.nn.relu, "tanh": jnp.tanh}
    act = act.get(config["hidden_act"], lambda x: x)

    def dense(x, name):
        return x @ w[name + "/kernel"] + w[name + "/bias"]

    def norm(x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(variance + 1e-12) * w[name + "/gamma"] + w[name + "/beta"]

    def nats(logits, labels):
        return jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]

    ids = batch["input_ids"]
    size, length = ids.shape
    x = w["bert/embeddings/word_embeddings"][ids]
    x = x + w["bert/embeddings/token_type_embeddings"][batch["segment_ids"]]
    x = norm(x + w["bert/embeddings/position_embeddings"][:length], "bert/embeddings/LayerNorm")
    if "bert/encoder/embedding_hidden_mapping_in/kernel" in w:
        x = dense(x, "bert/encoder/embedding_hidden_mapping_in")
    width = x.shape[-1]
    hidden_keys = (1.0 - batch["input_mask"][:, None, None, :].astype(jnp.float32)) * -10000.0

    def split(y):
        return y.reshape(size, length, heads, width // heads)

    for layer in range(layers):
        group = int(layer / layers * config["num_hidden_groups"])
        for inner in range(config["inner_group_num"]):
            at = f"bert/encoder/transformer/group_{group}/inner_group_{inner}/"
            q, k, v = (split(dense(x, f"{at}attention_1/self/{n}")) for n in ("query", "key", "value"))
            scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.float32(np.sqrt(width // heads)) + hidden_keys
            mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1), v).reshape(size, length, width)
            x = norm(x + dense(mixed, at + "attention_1/output/dense"), at + "LayerNorm")
            wide = act(dense(x, at + "ffn_1/intermediate/dense"))
            x = norm(x + dense(wide, at + "ffn_1/intermediate/output/dense"), at + "LayerNorm_1")
    picked = jnp.take_along_axis(x, batch["masked_lm_positions"][..., None], 1)
    picked = norm(act(dense(picked, "cls/predictions/transform/dense")), "cls/predictions/transform/LayerNorm")
    pieces = picked @ w["bert/embeddings/word_embeddings"].T + w["cls/predictions/output_bias"]
    counts = batch["masked_lm_weights"]
    masked = (nats(pieces, batch["masked_lm_ids"]) * counts).sum() / (counts.sum() + 1e-5)
    pooled = jnp.tanh(dense(x[:, 0], "bert/pooler/dense"))
    order = pooled @ w["cls/seq_relationship/output_weights"].T + w["cls/seq_relationship/output_bias"]
    return masked + nats(order, batch["next_sentence_labels"][:, 0]).mean()


def rate(step, run):
    if step < run["num_warmup_steps"]:
        return run["learning_rate"] * step / run["num_warmup_steps"]
    left = 1 - min(step, run["num_train_steps"]) / run["num_train_steps"]
    return run["learning_rate"] * left ** run["poly_power"]


def step(w, m, v, batch, lr, config, run):
    loss, g = jax.value_and_grad(losses)(w, batch, config)
    norm = jnp.sqrt(sum((x**2).sum() for x in g.values()))
    g = {n: x / jnp.maximum(norm / run["max_grad_norm"], 1.0) for n, x in g.items()}
    m = {n: 0.9 * m[n] + 0.1 * g[n] for n in w}
    v = {n: 0.999 * v[n] + 0.001 * g[n] ** 2 for n in w}
    new = {}
    for n in w:
        u = m[n] / (jnp.sqrt(v[n]) + run["epsilon"])
        ratio = 1.0
        if not re.search("LayerNorm|layer_norm|bias", n):
            u = u + run["weight_decay_rate"] * w[n]
            size, change = jnp.linalg.norm(w[n].ravel()), jnp.linalg.norm(u.ravel())
            if run["optimizer"] == "lamb":
                ratio = jnp.where((size > 0) & (change > 0), size / change, 1.0)
        new[n] = w[n] - ratio * lr * u
    return new, m, v, loss


def main(folder):
    settings = json.loads((folder / "config.json").read_text())
    config, run = settings["config"], settings["run"]
    w = {n: jnp.asarray(x) for n, x in load(folder / "weights.safetensors").items()}
    batches = load(folder / "batches.safetensors")
    m = {n: jnp.zeros_like(x) for n, x in w.items()}
    v = {n: jnp.zeros_like(x) for n, x in w.items()}
    jitted = jax.jit(lambda w, m, v, batch, lr: step(w, m, v, batch, lr, config, run))
    for t in range(len(batches["input_ids"])):
        batch = {n: x[t] for n, x in batches.items()}
        w, m, v, loss = jitted(w, m, v, batch, np.float32(rate(t, run)))
        print(repr(float(loss)), flush=True)
    save(folder / "final.safetensors", {n: np.asarray(x) for n, x in w.items()})


main(Path(sys.argv[1]))
