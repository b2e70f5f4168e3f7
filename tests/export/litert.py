"""Runs a TFLite file with any number of inputs, against the network in torch."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from mobilenas.export import Weights
from mobilenas.graph import OpGraph
from mobilenas.nn import GraphModule, set_weights
from mobilenas.runners import LiteRTProcess


def plan(process: LiteRTProcess, model: bytes) -> tuple[list[str], int, list[str]]:
    """The operators in the file, the number of delegate partitions, and the operators that no delegate runs."""
    answer, _ = process.request("inspect", model, timeout_seconds=60)
    process.request("visit", model, timeout_seconds=60, warmup_runs=0, runs=1, seconds=0.001)
    operators = [name for name in answer["operators"] if name != "DELEGATE"]
    return operators, len(answer["operators"]) - len(operators), answer["undelegated"]


def without_reshape(operators: list[str]) -> list[str]:
    """The operators but those between (1, channels) and four dimensions, which depend on what comes before an op."""
    return [name for name in operators if name != "RESHAPE"]


def warned_of(warnings: Iterable[str]) -> Counter[str]:
    """How many operators of each code the warnings of a file speak of."""
    found: Counter[str] = Counter()
    for count, code, *_ in map(str.split, warnings):
        found[code] += int(count)
    return found


def images(graph: OpGraph, seed: int = 0) -> list[NDArray[np.float32]]:
    """One random input of the network, channels last."""
    rng = np.random.default_rng(seed)
    return [(3 * rng.standard_normal((1, *shape))).astype(np.float32) for shape in graph.input_shapes]


def exported(model: bytes, inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """What LiteRT computes, here in this process: what crashes has crashed in `plan` before."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def reference(graph: OpGraph, weights: Weights, inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """What torch computes in float64, channels last.

    Not in float32: with one channel in the channels-last format, unequal strides and a single column of output, oneDNN
    gives wrong rows (torch 2.14; `benchmarks/LOG.md` has an example).
    """
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    module.double()
    with torch.inference_mode():
        found = module(*(torch.from_numpy(value).double().permute(0, 3, 1, 2) for value in inputs))
    tensors = found if isinstance(found, tuple) else (found,)
    return [(t.permute(0, 2, 3, 1) if t.dim() == 4 else t).numpy() for t in tensors]


def difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Largest difference relative to the largest output."""
    assert found.size == wanted.size, (found.shape, wanted.shape)
    assert np.isfinite(found).all()
    return float(np.abs(found.reshape(wanted.shape) - wanted).max() / (np.abs(wanted).max() or 1.0))
