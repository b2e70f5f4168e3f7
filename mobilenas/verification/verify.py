"""The gate: is an exported file what was promised?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import numpy.typing as npt

from mobilenas.errors import VerificationError, shorten
from mobilenas.export import (
    FILE_BYTES,
    Metadata,
    TfliteFile,
    Weights,
    lower,
    op_file_bytes,
    output_shapes,
    read_metadata,
)
from mobilenas.export.tflite_op import Constant
from mobilenas.graph import OpGraph
from mobilenas.latency import SteadyRunner
from mobilenas.runners import Failure, LiteRTProcess, ModelError, Timing
from mobilenas.verification.accuracy import Labelled, accuracy_checks
from mobilenas.verification.int8_weights import weights_checks
from mobilenas.verification.metadata import metadata_checks
from mobilenas.verification.operators import operators_check
from mobilenas.verification.parity import agreement_check, parity_check, rounded_network
from mobilenas.verification.report import Check, Report

Images = npt.NDArray[np.float32]

SPARE_BYTES = 512
"""Of an operator, beyond what is reckoned of its op: ops that become several have long names and several tensors."""
LABEL_BYTES = 64
"""Of the name of a class."""

MOST_TIMES, LEAST_VALUES = 16, 1000
"""Of the values of a network's largest tensor, those that one of its file may have; it counts as so many at least."""
TIMEOUT_SECONDS = 120.0
PARITY_IMAGES = 64
"""Of labelled images, those whose scores are compared with torch in float64, which is slow."""


def verify_file(
    model: bytes,
    graph: OpGraph,
    weights: Weights | None,
    *,
    dtype: str = "float32",
    float_io: bool = False,
    images: Images | None = None,
    labelled: Labelled | None = None,
    fine_tuned: bool = False,
    metadata: Metadata | None = None,
    compare: bool = True,
    runtime: LiteRTProcess | None = None,
) -> Report:
    """Checks a TFLite file against the network and the weights that it was written from.

    Args:
        model: The file.
        graph: The network.
        weights: Its state dict; None checks only what does not depend on them.
        dtype: Element type it was exported in.
        float_io: Whether it was exported so that inputs and outputs are float32 though the network is int8.
        images: Normalised inputs, shape (N, height, width, 3); by default the first of `labelled`, else random ones.
        labelled: Held-out images that accuracy is compared on.
        fine_tuned: Whether it was trained on in int8, so that its weights and classes need not be the network's.
        metadata: What the file's labels and normalisation, if it has any, should be.
        compare: Whether to compare what it computes with torch, which must be installed then.
        runtime: A LiteRT process to use; by default one is started.

    Returns:
        Checks of the size, the inputs and outputs, the operators, the one delegate, labels and normalisation, an
        int8 file's weights and biases, parity with torch, and the top-1 class of every image. Parity is within 1e-5 of
        the largest output for float32, the same for float16 with torch's weights rounded too, and for int8 a root mean
        square error within 5 % of the range of torch's outputs. With `labelled`, the last two checks are of those
        images, see `accuracy_checks`, and in int8 they take the place of parity: fine-tuned scores need not be the
        float network's. An int8 file without images is compared by its weights and biases alone: what it was calibrated
        on is not known.

    Raises:
        VerificationError: If LiteRT does not load or run the file, or a tensor is so large that it is not tried.
        InputError: If the file is no TFLite file at all or damaged, or torch is not installed.
    """
    file = TfliteFile.parse(model)
    _check_sizes(file, graph)
    compare = compare and (dtype != "int8" or images is not None or labelled is not None)
    if images is None and labelled is not None:
        images = labelled.images[:PARITY_IMAGES]
    elif images is None:
        images = np.random.default_rng(0).standard_normal((4, *graph.input_shapes[0])).astype(np.float32)
    with running(runtime) as process:
        answer, _ = process.request("inspect", model, timeout_seconds=TIMEOUT_SECONDS)
        operators = [name for name in answer["operators"] if name != "DELEGATE"]
        checks = [
            *_interface_checks(answer["inputs"], answer["outputs"], graph, dtype, float_io),
            operators_check(file, operators, graph, dtype, float_io=float_io and dtype == "int8"),
            _delegate_check(answer["operators"], answer["undelegated"]),
        ]
        checks.append(size_check(model, graph, dtype))
        checks += metadata_checks(lambda: read_metadata(model), metadata)
        if weights is not None and dtype == "int8" and checks[2].passed:
            checks += weights_checks(file, graph, weights, fine_tuned=fine_tuned)
        if weights is not None and compare and all(check.passed for check in checks[:2]):
            checks += _value_checks(process, model, graph, weights, dtype, images, labelled, fine_tuned)
    return Report(tuple(checks))


@contextmanager
def running(runtime: LiteRTProcess | None, name: str = "LiteRT") -> Iterator[LiteRTProcess]:
    """The process that checks of a file ask: `runtime`, or one that ends with them.

    Raises:
        VerificationError: If it does not load or run the file.
    """
    with nullcontext(runtime) if runtime else LiteRTProcess() as process:
        try:
            yield process
        except ModelError as error:
            raise VerificationError(f"{name} does not run the file: {' '.join(str(error).split())[:300]}") from error


def inspect_file(model: bytes, graph: OpGraph, *, dtype: str = "float32") -> Report:
    """Checks what a TFLite file is made of, and not what it computes: `verify_file` without weights; needs no torch.

    Args:
        model: The file.
        graph: The network.
        dtype: Element type it was exported in.

    Returns:
        Checks of the inputs and outputs, the operators, the one delegate and the size.

    Raises:
        VerificationError: If LiteRT does not load the file.
        InputError: If the file is no TFLite file at all.
    """
    return verify_file(model, graph, None, dtype=dtype)


def _value_checks(
    process: LiteRTProcess,
    model: bytes,
    graph: OpGraph,
    weights: Weights,
    dtype: str,
    images: Images,
    labelled: Labelled | None,
    fine_tuned: bool,
) -> list[Check]:
    from mobilenas.nn import outputs  # here, so that commands that only measure need no torch

    checks = []
    if labelled is None or dtype != "int8":
        exported = run_model(process, model, images)
        # what int8 may differ by, and agreement of float16, need no float64, which takes ten times as long
        reference = promised = outputs(graph, weights, images, exact=dtype == "float32")
        if dtype == "float16":
            promised = outputs(*rounded_network(graph, weights), images, exact=True)
        checks.append(parity_check(exported, promised, dtype))
        if labelled is None:
            return [*checks, agreement_check(exported, reference, dtype)]
    exported, reference = run_model(process, model, labelled.images), outputs(graph, weights, labelled.images)
    return [*checks, *accuracy_checks(exported, reference, labelled, dtype, fine_tuned=fine_tuned)]


def run_model(process: LiteRTProcess, model: bytes, images: Images) -> Images:
    """Outputs of a TFLite file for images (N, height, width, 3): shape (N, classes), or as the file has them.

    Images and outputs are float32 for int8 files too.

    Raises:
        ModelError: If LiteRT does not run it.
    """
    found = []
    for start in range(0, len(images), 64):
        data = np.ascontiguousarray(images[start : start + 64], np.float32).tobytes()
        answer, raw = process.request("invoke", model, timeout_seconds=TIMEOUT_SECONDS, data=data)
        found.append(np.frombuffer(raw, np.float32).reshape(answer["shape"]))
    return np.concatenate(found)


def measure_file(model: bytes, runner: SteadyRunner) -> Timing:
    """Times a file.

    Raises:
        VerificationError: If the device does not run it.
    """
    (timing,) = runner.measure([model], runner.target_protocol)
    if isinstance(timing, Failure):
        raise VerificationError(f"the device does not run the file: {timing.reason}")
    return timing


def size_check(model: bytes, graph: OpGraph, dtype: str) -> Check:
    """Whether a file is no larger than its ops, see `op_file_bytes`, and the names of its classes."""
    operators = [op for node in graph.nodes for op in lower(node.spec, dtype)]
    constants = sum(o.value.nbytes for op in operators for o in op.inputs if isinstance(o, Constant))
    labels = sum(LABEL_BYTES * graph.value_shapes[i][2] for i in graph.outputs)
    reckoned = FILE_BYTES + sum(op_file_bytes(node.spec, dtype) for node in graph.nodes)
    most = reckoned + constants + labels + SPARE_BYTES * len(operators)
    return Check("size", len(model) <= most, f"{len(model):,} bytes", f"at most {most:,} bytes")


def latency_check(timing: Timing, target_ms: float) -> Check:
    """Whether a measured latency is within the target.

    Raises:
        InputError: If what was measured is no time.
    """
    measured_ms = timing.unit.milliseconds(timing.seen_us)
    return Check("latency", measured_ms <= target_ms, f"{measured_ms:.4g} ms", f"at most {target_ms:g} ms")


Tensors = Sequence[Mapping[str, object]]


def _check_sizes(file: TfliteFile, graph: OpGraph) -> None:
    """Before anything is given memory for them."""
    largest = max(map(math.prod, graph.value_shapes))
    largest = max(largest, LEAST_VALUES, *(node.spec.weight_count for node in graph.nodes))
    for tensor in file.tensors:
        if math.prod(tensor.shape) > MOST_TIMES * largest:
            raise VerificationError(
                f"tensor {shorten(tensor.name)} has the shape {shorten(list(tensor.shape))}: more than {MOST_TIMES} "
                "times the values of the network's largest; LiteRT was not asked to run the file"
            )


def _interface_checks(inputs: Tensors, found: Tensors, graph: OpGraph, dtype: str, float_io: bool) -> list[Check]:
    element = "int8" if dtype == "int8" and not float_io else "float32"
    wanted_in = [{"shape": [1, *shape], "dtype": element} for shape in graph.input_shapes]
    wanted_out = [{"shape": list(shape), "dtype": element} for shape in output_shapes(graph, dtype)]
    return [tensor_check("inputs", inputs, wanted_in), tensor_check("outputs", found, wanted_out)]


def tensor_check(name: str, tensors: Tensors, wanted: Tensors) -> Check:
    """Whether inputs or outputs have the shapes and types that they should have, and the names, if those are said."""
    keys = ("name", "dtype", "shape") if any("name" in tensor for tensor in wanted) else ("dtype", "shape")
    given = [{key: tensor[key] for key in keys} for tensor in tensors]
    return Check(name, given == wanted, _tensor_words(given), _tensor_words(wanted))


def _tensor_words(tensors: Tensors) -> str:
    return ", ".join(" ".join(f"{t[key]}" for key in ("name", "dtype", "shape") if key in t) for t in tensors)


def delegate_words(operators: Sequence[str], undelegated: Sequence[str]) -> str:
    """How many partitions XNNPACK makes of a file, and what it leaves out."""
    outside = ", ".join(sorted(set(undelegated))) or "nothing"
    return f"{operators.count('DELEGATE')} delegate partitions, outside: {outside}"


ONE_DELEGATE = delegate_words(["DELEGATE"], [])
"""What is said of a file that XNNPACK takes as a whole."""


def _delegate_check(operators: Sequence[str], undelegated: Sequence[str]) -> Check:
    return Check(
        "delegate",
        operators.count("DELEGATE") == 1 and not undelegated,
        delegate_words(operators, undelegated),
        "1 delegate partition and nothing outside",
    )
