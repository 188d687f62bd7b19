"""TensorFlow's own writer and reader of checkpoints, for the tests of lib/formats/tf_checkpoint.ts.

write FOLDER: makes the files of test/golden/tf: a bundle of two shards with an optimizer slot, a step, other types, a
partitioned variable and a text. Value i of the variable that stands k-th in the order of names is k + i / 8.
read PREFIX: prints one line of JSON per variable: name, type, shape, SHA-256 of the values.
"""
import hashlib
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy as np
import tensorflow as tf

SHAPES = {
    "bert/embeddings/LayerNorm/beta": (4,),
    "bert/embeddings/word_embeddings": (12, 4),
    "bert/embeddings/word_embeddings/adam_m": (12, 4),
    "bert/pooler/dense/kernel": (8, 8),
    "cls/seq_relationship/output_weights": (2, 8),
    "half": (3,),
    "scalar": (),
    "zero_rows": (0, 4),
}


def write(folder):
    names = sorted(SHAPES)
    values = {}
    for k, name in enumerate(names):
        size = int(np.prod(SHAPES[name], dtype=np.int64))
        dtype = np.float16 if name == "half" else np.float32
        values[name] = (k + np.arange(size) / 8).astype(dtype).reshape(SHAPES[name])
    os.makedirs(folder, exist_ok=True)
    parts = [os.path.join(folder, f"part-{i}") for i in range(2)]
    first, second = names[:4], names[4:]

    def save(prefix, tensors, slices=None):
        tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=list(tensors), shape_and_slices=slices or [""] * len(tensors),
            tensors=[tf.constant(v) for v in tensors.values()],
        )

    save(parts[0], {name: values[name] for name in first})
    more = {name: values[name] for name in second}
    more["global_step"] = np.int64(7)
    more["text"] = np.array([b"piece"], dtype=object)
    more["parted"] = np.arange(4, dtype=np.float32).reshape(2, 2)
    save(parts[1], more, [""] * (len(more) - 1) + ["4 2 0,2:0,2"])
    prefix = os.path.join(folder, "model.ckpt-7")
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix, delete_old_dirs=False)
    tf.compat.v1.train.update_checkpoint_state(folder, "model.ckpt-7")


def read(prefix):
    reader = tf.train.load_checkpoint(prefix)
    for name, shape in sorted(reader.get_variable_to_shape_map().items()):
        if name == "parted":  # only half of it is there
            continue
        value = reader.get_tensor(name)
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        print(json.dumps([name, str(value.dtype), list(shape), digest]))


{"write": write, "read": read}[sys.argv[1]](sys.argv[2])
