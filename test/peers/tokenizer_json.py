"""Ids by Hugging Face's tokenizers. Usage: python tokenizer_json.py TOKENIZER_JSON TEXTS_JSON. Prints a JSON list of ids."""
import json
import sys

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
print(json.dumps([tokenizer.encode(text).ids for text in json.load(open(sys.argv[2]))]))
