"""Runs ONNX models in a process of its own, with limited memory, by the requests of `_litert_agent.py`.

It answers "hello", "load", "drop", "inspect" and "invoke"; images are channels last here too.

    {"command": "inspect", "id": 7} -> {"opsets", "metadata", "inputs", "outputs"} or {"refused": why}
"""

import os
import sys

if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path[0] = os.path.dirname(os.path.dirname(sys.path[0]))  # as in `_litert_agent`

import numpy as np
import onnx
import onnxruntime

from mobilenas.runners._litert_agent import Agent, main

try:
    import resource
except ImportError:  # Windows
    resource = None

MORE_BYTES = 4 * 2**30
"""Of address space beyond what the libraries have mapped and some times the file."""
BATCH = 8


class OnnxAgent(Agent):
    """The models that were loaded."""

    def load(self, request, payload):
        limit_memory(MORE_BYTES + 4 * len(payload))
        return super().load(request, payload)

    def inspect(self, request, payload):
        model = self.models[request["id"]]
        try:
            document = onnx.load_from_string(model)
            onnx.checker.check_model(document)
        except Exception as error:  # protobuf and the checker each have errors of their own
            return {"refused": "%s: %s" % (type(error).__name__, str(error)[:200])}, b""
        session = self.interpreter(request["id"])
        return {
            "opsets": {entry.domain: entry.version for entry in document.opset_import},
            "metadata": {entry.key: entry.value for entry in document.metadata_props},
            "inputs": [tensor(found) for found in session.get_inputs()],
            "outputs": [tensor(found) for found in session.get_outputs()],
        }, b""

    def invoke(self, request, payload):
        if self.open_id != request["id"]:
            self.open_interpreter, self.open_id = self.interpreter(request["id"]), request["id"]
        session = self.open_interpreter
        given, wanted = session.get_inputs()[0], list(session.get_outputs()[0].shape[1:])
        channels, height, width = given.shape[1:]
        images = np.frombuffer(payload, np.float32).reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        parts = []
        for start in range(0, len(images), BATCH):
            batch = np.ascontiguousarray(images[start : start + BATCH])
            found = session.run(None, {given.name: batch})[0]
            if list(found.shape) != [len(batch), *wanted]:
                raise ValueError("it gives the shape %s where it says %s" % (list(found.shape), wanted))
            parts.append(found)
        result = np.concatenate(parts).astype(np.float32)
        result = np.ascontiguousarray(result.transpose(0, 2, 3, 1)) if result.ndim == 4 else result
        return {"shape": list(result.shape)}, result.tobytes()

    def interpreter(self, model_id):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(self.models[model_id], options, providers=["CPUExecutionProvider"])


def limit_memory(more):
    """Lets this process map so many bytes more; nothing where the system cannot."""
    try:
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + more, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError, AttributeError):
        pass


def tensor(found):
    """What a caller needs to know of an input or output; the batch is N where it may be of any size."""
    sizes = [size if isinstance(size, int) else "?" if i else "N" for i, size in enumerate(found.shape)]
    kind = found.type[len("tensor(") : -1] if found.type.startswith("tensor(") else found.type
    return {"name": found.name, "shape": sizes, "dtype": "float32" if kind == "float" else kind}


if __name__ == "__main__":
    main(OnnxAgent())
