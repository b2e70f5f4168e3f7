"""The gate: is an exported file what was promised?"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError, VerificationError
from mobilenas.export import Weights, expected_operators, output_shapes
from mobilenas.graph import OpGraph
from mobilenas.latency import SteadyRunner
from mobilenas.runners import Failure, LiteRTProcess, ModelError, Timing, TimingProtocol
from mobilenas.verification.report import Check, Report

Images = npt.NDArray[np.float32]

PARITY = 1e-5
"""Accepted difference from torch in float64, relative to the largest output.

Float32 in another order of summation stays below: up to 9e-6 where batch norm blows rounding up (mobilenet_v2_1.4 at 96
pixels, random weights, statistics of noise), 2e-6 without. Against torch in float32 it was up to 1.3e-5.
"""
TIMEOUT_SECONDS = 120.0
LATENCY_PROTOCOL = TimingProtocol(visits=15, runs=200, visit_seconds=0.12)


def verify_file(
    model: bytes,
    graph: OpGraph,
    weights: Weights,
    *,
    dtype: str = "float32",
    images: Images | None = None,
    runtime: LiteRTProcess | None = None,
) -> Report:
    """Checks a TFLite file against the network and the weights that it was written from.

    Args:
        model: The file.
        graph: The network.
        weights: Its state dict.
        dtype: Element type it was exported in.
        images: Normalised inputs, shape (N, height, width, 3); random ones by default.
        runtime: A LiteRT process to use; by default one is started.

    Returns:
        Checks of the inputs and outputs, the operators, the one delegate, parity with torch, and, where images are
        given, of the top-1 class of every image.

    Raises:
        VerificationError: If LiteRT does not load or run the file.
        InputError: If the file is no TFLite file at all, or torch is not installed.
    """
    from mobilenas.nn import outputs  # here, so that commands that only measure need no torch

    check_is_tflite(model)
    process = runtime or LiteRTProcess()
    if images is None:
        images = np.random.default_rng(0).standard_normal((4, *graph.input_shapes[0])).astype(np.float32)
    try:
        answer, _ = process.request("inspect", 0, model, timeout_seconds=TIMEOUT_SECONDS)
        checks = _interface_checks(answer["inputs"], answer["outputs"], graph)
        checks += _operator_checks(answer["operators"], answer["undelegated"], graph, dtype)
        if all(check.passed for check in checks[:2]):
            exported = run_model(process, 0, model, images)
            checks += _parity_checks(exported, outputs(graph, weights, images, exact=True))
    except ModelError as error:
        raise VerificationError(f"LiteRT does not run the file: {error}") from error
    finally:
        if runtime is None:
            process.close()
        else:
            process.drop([0])
    return Report(tuple(checks))


def run_model(process: LiteRTProcess, model_id: int, model: bytes, images: Images) -> Images:
    """Outputs of a TFLite file for images (N, height, width, 3): shape (N, classes), or as the file has them.

    Raises:
        ModelError: If LiteRT does not run it.
    """
    found = []
    for start in range(0, len(images), 64):
        data = np.ascontiguousarray(images[start : start + 64], np.float32).tobytes()
        answer, raw = process.request("invoke", model_id, model, timeout_seconds=TIMEOUT_SECONDS, data=data)
        found.append(np.frombuffer(raw, np.float32).reshape(answer["shape"]))
    return np.concatenate(found)


def measure_file(model: bytes, runner: SteadyRunner, protocol: TimingProtocol = LATENCY_PROTOCOL) -> Timing:
    """Times a file.

    Raises:
        VerificationError: If the device does not run it.
    """
    (timing,) = runner.measure([model], protocol)
    if isinstance(timing, Failure):
        raise VerificationError(f"the device does not run the file: {timing.reason}")
    return timing


def latency_check(timing: Timing, target_ms: float) -> Check:
    """Whether a measured latency is within the target."""
    measured_ms = timing.latency_us / 1e3
    return Check("latency", measured_ms <= target_ms, f"{measured_ms:.4g} ms", f"at most {target_ms:g} ms")


def check_is_tflite(model: bytes) -> None:
    """Raises `InputError` for what cannot be a TFLite file: too short, without identifier, or its root outside."""
    if len(model) < 16 or model[4:8] != b"TFL3" or struct.unpack("<I", model[:4])[0] >= len(model) - 4:
        raise InputError("not a TFLite file: the identifier TFL3 is missing; give a .tflite file")


Tensors = Sequence[Mapping[str, object]]


def _interface_checks(inputs: Tensors, found: Tensors, graph: OpGraph) -> list[Check]:
    wanted_in = [{"shape": [1, *shape], "dtype": "float32"} for shape in graph.input_shapes]
    wanted_out = [{"shape": list(shape), "dtype": "float32"} for shape in output_shapes(graph)]
    checks = []
    for name, tensors, wanted in (("inputs", inputs, wanted_in), ("outputs", found, wanted_out)):
        given = [{"shape": tensor["shape"], "dtype": tensor["dtype"]} for tensor in tensors]
        checks.append(Check(name, given == wanted, _tensor_words(given), _tensor_words(wanted)))
    return checks


def _tensor_words(tensors: Tensors) -> str:
    return ", ".join(f"{t['dtype']} {t['shape']}" for t in tensors)


def _operator_checks(operators: Sequence[str], undelegated: Sequence[str], graph: OpGraph, dtype: str) -> list[Check]:
    delegates = operators.count("DELEGATE")
    rest = [name for name in operators if name != "DELEGATE"]
    wanted = expected_operators(graph, dtype)
    unexpected = sorted({a for a, b in zip(rest, wanted, strict=False) if a != b}) or "none"
    found = f"{len(rest)}, unexpected: {unexpected}"
    return [
        Check("operators", rest == wanted, found, f"the {len(wanted)} that lower() gives"),
        Check(
            "delegate",
            delegates == 1 and not undelegated,
            f"{delegates} delegate partitions, outside: {', '.join(sorted(set(undelegated))) or 'nothing'}",
            "1 delegate partition and nothing outside",
        ),
    ]


def _parity_checks(exported: Images, reference: npt.NDArray[np.floating]) -> list[Check]:
    if reference.ndim == 4:
        reference = reference.transpose(0, 2, 3, 1)
    reference = reference.reshape(exported.shape)
    largest = float(np.abs(reference).max()) or 1.0
    difference = float(np.abs(exported - reference).max()) / largest
    count = len(exported)
    same = int((exported.reshape(count, -1).argmax(1) == reference.reshape(count, -1).argmax(1)).sum())
    return [
        Check("parity", difference <= PARITY, f"{difference:.2g} of the largest output", f"at most {PARITY:g}"),
        Check("top-1 agreement", same == count, f"{same} of {count} images", "every image"),
    ]
