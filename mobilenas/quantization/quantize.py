"""quantize: from a float network and real images to what an int8 file is written from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from mobilenas.errors import InputError
from mobilenas.export import Ranges, Weights, folded_network, write_tflite
from mobilenas.export.metadata import Metadata
from mobilenas.export.weights import Array, check_finite
from mobilenas.graph import OpGraph
from mobilenas.nn import observed_ranges, outputs
from mobilenas.nn.inference import image_batches
from mobilenas.quantization.bias_correction import bias_corrected
from mobilenas.quantization.equalization import equalized
from mobilenas.quantization.narrowing import narrowed_ranges
from mobilenas.quantization.simulated_int8 import SimulatedInt8

BATCH = 32
JUDGED = 0.25
"""Share of the images that a step is judged on, and that takes no part in it."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """A network in int8, before it is a file.

    Attributes:
        graph: The network, batch norm folded.
        weights: Its state dict.
        ranges: Of its activations.
        steps: What was done beyond rounding, in order.
        fine_tuned: Whether its weights were trained on in int8.
        error: Of the scores, each image's mean taken off, as a share of what they hold (root mean squares).
    """

    graph: OpGraph
    weights: Weights
    ranges: Ranges
    steps: tuple[str, ...] = ()
    fine_tuned: bool = False
    error: float = float("nan")

    def network(self) -> SimulatedInt8:
        """It in torch."""
        return SimulatedInt8(self.graph, self.weights, self.ranges)

    def write(
        self, *, float_io: bool = False, description: str = "mobilenas", metadata: Metadata | None = None
    ) -> bytes:
        """It as a TFLite file."""
        return write_tflite(
            self.graph,
            self.weights,
            dtype="int8",
            ranges=self.ranges,
            float_io=float_io,
            description=description,
            metadata=metadata,
        )


def quantize(graph: OpGraph, weights: Weights, images: Array) -> Quantized:
    """Quantizes a trained network, and keeps of equalisation, narrower ranges and bias correction what helps.

    Every step is judged by the error of the scores on a quarter of the images, which took no part in it.

    Args:
        graph: The network, with one input and one output.
        weights: Its state dict.
        images: Normalised training images, shape (N, height, width, channels), at least two; better hundreds.

    Raises:
        InputError: If weights or images do not fit the network, a weight is not finite, or there are fewer than two
            images.
    """
    if len(images) < 2:
        raise InputError(f"{len(images)} images are not enough to quantize with; give at least 2, better 256")
    check_finite(weights)
    judged = images[: max(1, int(JUDGED * len(images)))]
    fitted = images[len(judged) :]
    exact = _centred(outputs(graph, weights, judged))
    folded, state = folded_network(graph, weights)

    def measured(found: Quantized) -> Quantized:
        return replace(found, error=_error(found, judged, exact))

    best = measured(Quantized(folded, state, observed_ranges(folded, state, images)))
    for name, step in STEPS.items():
        tried = measured(step(best, fitted))
        if tried.error < best.error:
            best = replace(tried, steps=(*best.steps, name))
    return best


def _equalized(found: Quantized, images: Array) -> Quantized:
    weights = equalized(found.graph, found.weights, images)
    return replace(found, weights=weights, ranges=observed_ranges(found.graph, weights, images))


def _narrowed(found: Quantized, images: Array) -> Quantized:
    return replace(found, ranges=narrowed_ranges(found.graph, found.weights, found.ranges, images))


def _bias_corrected(found: Quantized, images: Array) -> Quantized:
    return replace(found, weights=bias_corrected(found.network(), images))


STEPS: dict[str, Callable[[Quantized, Array], Quantized]] = {
    "equalisation": _equalized,
    "narrower ranges": _narrowed,
    "bias correction": _bias_corrected,
}
"""In the order in which they are tried: what moves ranges comes before what corrects what they lose."""


def _centred(scores: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Array:
    """Scores without what is common to all classes, which no softmax sees."""
    flat = scores.reshape(len(scores), -1)
    return np.asarray(flat - flat.mean(1, keepdims=True) if flat.shape[1] > 1 else flat, np.float32)


def _error(found: Quantized, images: Array, exact: Array) -> float:
    network = found.network().eval()
    parts = []
    with torch.inference_mode():
        for batch in image_batches(images, BATCH):
            parts.append(network(batch).numpy())
    scale = float(np.sqrt(np.mean(np.square(exact, dtype=np.float64)))) or 1.0
    return float(np.sqrt(np.mean(np.square(_centred(np.concatenate(parts)) - exact, dtype=np.float64)))) / scale
