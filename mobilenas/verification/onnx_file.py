"""verify_onnx: is an ONNX file what was promised?"""

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export import OPSET, Weights
from mobilenas.extras import require
from mobilenas.graph import OpGraph
from mobilenas.verification.accuracy import Labelled, accuracy_checks
from mobilenas.verification.parity import agreement_check, parity_check
from mobilenas.verification.report import Check, Report
from mobilenas.verification.verify import PARITY_IMAGES, Images

BATCH = 64


def verify_onnx(model: bytes, graph: OpGraph, weights: Weights, *, labelled: Labelled | None = None) -> Report:
    """Checks an ONNX file against the network and the weights that it was written from.

    Args:
        model: The file.
        graph: The network.
        weights: Its state dict.
        labelled: Held-out images that accuracy is compared on.

    Returns:
        Checks of the opset, parity of onnxruntime's outputs with torch's (1e-5 of the largest), and the top-1 classes.

    Raises:
        InputError: If the extra `onnx` or torch is not installed, or onnxruntime does not read the file.
    """
    onnx, runtime = require("onnx", "onnx"), require("onnxruntime", "onnx")
    from mobilenas.nn import outputs

    try:
        document = onnx.load_from_string(model)
        onnx.checker.check_model(document)
        session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # protobuf, the checker and the runtime each have errors of their own
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"not an ONNX file that onnxruntime reads: {reason}; give one that export wrote") from error

    def run(images: Images) -> Images:
        parts = []
        for start in range(0, len(images), BATCH):
            batch = np.ascontiguousarray(images[start : start + BATCH].transpose(0, 3, 1, 2))
            parts.append(session.run(None, {"input_0": batch})[0])
        return np.concatenate(parts)

    opsets = {entry.domain: entry.version for entry in document.opset_import}
    checks = [Check("opset", opsets == {"": OPSET}, str(opsets.get("", "none")), f"{OPSET}")]
    if labelled is None:
        images = np.random.default_rng(0).standard_normal((4, *graph.input_shapes[0])).astype(np.float32)
    else:
        images = labelled.images[:PARITY_IMAGES]
    exported, reference = run(images), outputs(graph, weights, images, exact=True)
    found = exported.transpose(0, 2, 3, 1) if exported.ndim == 4 else exported
    checks.append(parity_check(found, reference, "float32"))
    if labelled is None:
        checks.append(agreement_check(found, reference, "float32"))
    else:
        scores = outputs(graph, weights, labelled.images)
        checks += accuracy_checks(run(labelled.images), scores, labelled, "float32")
    return Report(tuple(checks))
