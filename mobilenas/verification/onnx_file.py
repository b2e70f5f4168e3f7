"""verify_onnx: is an ONNX file what was promised?"""

from contextlib import nullcontext

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export import OPSET, Metadata, Weights, metadata_of_entries
from mobilenas.extras import require
from mobilenas.graph import OpGraph
from mobilenas.runners import LiteRTProcess, onnx_process
from mobilenas.verification.accuracy import Labelled, accuracy_checks
from mobilenas.verification.metadata import metadata_checks
from mobilenas.verification.parity import agreement_check, parity_check
from mobilenas.verification.report import Check, Report
from mobilenas.verification.verify import PARITY_IMAGES, TIMEOUT_SECONDS, run_model, running, tensor_check


def verify_onnx(
    model: bytes,
    graph: OpGraph,
    weights: Weights,
    *,
    labelled: Labelled | None = None,
    metadata: Metadata | None = None,
    runtime: LiteRTProcess | None = None,
) -> Report:
    """Checks an ONNX file against the network and the weights that it was written from.

    Onnxruntime and the parser see the file in a process of its own, whose memory is limited.

    Args:
        model: The file.
        graph: The network.
        weights: Its state dict.
        labelled: Held-out images that accuracy is compared on.
        metadata: What the file's labels and normalisation, if it has any, should be.
        runtime: An `onnx_process` to use; by default one is started.

    Returns:
        Checks of the opset, the inputs and outputs, labels and normalisation, and, where those of the inputs and
        outputs hold, parity of onnxruntime's outputs with torch's (1e-5 of the largest), and the top-1 classes.

    Raises:
        VerificationError: If onnxruntime does not load or run the file.
        InputError: If the extra `onnx` or torch is not installed, or it is no ONNX file at all.
    """
    for library in ("onnx", "onnxruntime", "torch"):
        require(library, "train" if library == "torch" else "onnx")
    with nullcontext(runtime) if runtime else onnx_process() as own, running(own, "onnxruntime") as process:
        found, _ = process.request("inspect", model, timeout_seconds=TIMEOUT_SECONDS)
        if "refused" in found:
            reason = found["refused"].strip().partition("\n")[0]
            raise InputError(f"not an ONNX file that onnxruntime reads: {reason}; give one that export wrote")
        opset = Check("opset", found["opsets"] == {"": OPSET}, str(found["opsets"].get("", "none")), f"{OPSET}")
        shapes = [[c, *((h, w) if (h, w) != (1, 1) else ())] for h, w, c in _output_shapes(graph)]
        checks = [
            opset,
            tensor_check("inputs", found["inputs"], _tensors("input", [[c, h, w] for h, w, c in graph.input_shapes])),
            tensor_check("outputs", found["outputs"], _tensors("output", shapes)),
        ]
        fits = all(check.passed for check in checks[1:])
        checks += metadata_checks(lambda: metadata_of_entries(found["metadata"]), metadata)
        if fits:
            checks += _value_checks(process, model, graph, weights, labelled)
    return Report(tuple(checks))


def _output_shapes(graph: OpGraph) -> list[tuple[int, int, int]]:
    return [graph.value_shapes[number] for number in graph.outputs]


def _tensors(name: str, shapes: list[list[int]]) -> list[dict[str, object]]:
    return [{"name": f"{name}_{i}", "shape": ["N", *shape], "dtype": "float32"} for i, shape in enumerate(shapes)]


def _value_checks(
    process: LiteRTProcess, model: bytes, graph: OpGraph, weights: Weights, labelled: Labelled | None
) -> list[Check]:
    from mobilenas.nn import outputs

    if labelled is None:
        images = np.random.default_rng(0).standard_normal((4, *graph.input_shapes[0])).astype(np.float32)
    else:
        images = labelled.images[:PARITY_IMAGES]
    exported, reference = run_model(process, model, images), outputs(graph, weights, images, exact=True)
    checks = [parity_check(exported, reference, "float32")]
    if labelled is None:
        return [*checks, agreement_check(exported, reference, "float32")]
    scores = outputs(graph, weights, labelled.images)
    return [*checks, *accuracy_checks(run_model(process, model, labelled.images), scores, labelled, "float32")]
