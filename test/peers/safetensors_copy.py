"""The safetensors library reads a file and writes it again. Usage: python safetensors_copy.py FROM TO. Prints the names."""
import sys

from safetensors import safe_open
from safetensors.torch import load_file, save_file

source, target = sys.argv[1:3]
with safe_open(source, "pt") as opened:
    metadata = opened.metadata()
tensors = load_file(source)
save_file(tensors, target, metadata=metadata)
print(" ".join(sorted(tensors)))
