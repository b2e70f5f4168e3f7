"""How far a file may be from torch, by its element type."""

import numpy as np
import numpy.typing as npt

from mobilenas.export import Weights
from mobilenas.export.weights import Array, folded_network
from mobilenas.graph import OpGraph
from mobilenas.verification.report import Check

Outputs = npt.NDArray[np.floating]

PARITY = 1e-5
"""Accepted difference of a float file from torch in float64, relative to the largest output; of float16, to torch with
rounded weights.

Float32 in another order of summation stays below: up to 9e-6 where batch norm blows rounding up (mobilenet_v2_1.4 at 96
pixels, random weights, statistics of noise), 2e-6 without. Against torch in float32 it was up to 1.3e-5.
"""
INT8_ERROR = 0.05
"""Accepted root mean square error of an int8 file, as a share of the range of torch's outputs."""


def rounded_network(graph: OpGraph, weights: Weights) -> tuple[OpGraph, dict[str, Array]]:
    """The network that a float16 file promises: batch norm folded, then weights and biases rounded to float16."""
    plain, found = folded_network(graph, weights)
    return plain, {name: value.astype(np.float16).astype(np.float32) for name, value in found.items()}


def parity_check(exported: Outputs, reference: Outputs, dtype: str) -> Check:
    """Whether the outputs of a file are those of torch, as near as its element type allows.

    Args:
        exported: What the file gives, shape (N, ...), channels last.
        reference: What torch gives; (N, channels, height, width) where it has four dimensions.
        dtype: Element type of the file.
    """
    wanted = _as_exported(exported, reference)
    if dtype == "int8":
        span = float(wanted.max() - wanted.min()) or 1.0
        error = float(np.sqrt(np.mean(np.square(exported - wanted, dtype=np.float64)))) / span
        found = f"error {error:.2g} of the output range"
        return Check("parity", error <= INT8_ERROR, found, f"root mean square at most {INT8_ERROR:g}")
    largest = float(np.abs(wanted).max()) or 1.0
    difference = float(np.abs(exported - wanted).max()) / largest
    of = "at most" if dtype == "float32" else "to the rounded weights at most"
    return Check("parity", difference <= PARITY, f"{difference:.2g} of the largest output", f"{of} {PARITY:g}")


def agreement_check(exported: Outputs, reference: Outputs, dtype: str) -> Check:
    """On how many images file and torch name the same class: every one for float32, without a bound for the others."""
    wanted, count = _as_exported(exported, reference), len(exported)
    same = int((exported.reshape(count, -1).argmax(1) == wanted.reshape(count, -1).argmax(1)).sum())
    exact = dtype == "float32"
    promise = "every image" if exact else "reported, no bound"
    return Check("top-1 agreement", same == count or not exact, f"{same} of {count} images", promise)


def _as_exported(exported: Outputs, reference: Outputs) -> Outputs:
    if reference.ndim == 4:
        reference = reference.transpose(0, 2, 3, 1)
    return reference.reshape(exported.shape)
