"""Checks ONNX files and runs them in ONNX Runtime, for the tests of lib/export/onnx.

Usage: python onnx_run.py INPUT. INPUT is JSON: a list of {"model": path, "runs": [{name: {"type", "shape", "values"}}]}.
Every model goes through the ONNX checker with full shape inference. Prints one JSON: for each model a list of runs, each a
dictionary from output name to {"type", "shape", "values" (base64 of the bytes)}; or the text in which ONNX Runtime says that
it has no kernel, or that an input is out of bounds.
"""
import base64
import json
import sys

import numpy
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, NotImplemented as NoKernel

onnxruntime.set_default_logger_severity(3)
answers = []
for case in json.load(open(sys.argv[1])):
    onnx.checker.check_model(case["model"], full_check=True)
    try:
        session = onnxruntime.InferenceSession(case["model"], providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        feeds = [
            {name: numpy.array(given["values"], given["type"]).reshape(given["shape"]) for name, given in run.items()}
            for run in case["runs"]
        ]
        results = [session.run(names, feed) for feed in feeds]
    except (InvalidArgument, NoKernel) as error:
        answers.append(str(error))
        continue
    runs = []
    for values in results:
        runs.append({
            name: {
                "type": str(value.dtype),
                "shape": list(value.shape),
                "values": base64.b64encode(numpy.ascontiguousarray(value).tobytes()).decode(),
            }
            for name, value in zip(names, values)
        })
    answers.append(runs)
print(json.dumps(answers))
