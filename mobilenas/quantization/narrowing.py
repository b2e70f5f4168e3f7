"""narrowed_ranges: ranges that lose least, where few values lie far out."""

import numpy as np
import torch
from torch import Tensor

from mobilenas.export import Ranges
from mobilenas.export.quantization import quantization
from mobilenas.export.weights import Array, Weights
from mobilenas.graph import OpGraph
from mobilenas.nn.inference import all_values

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def narrowed_ranges(graph: OpGraph, weights: Weights, ranges: Ranges, images: Array) -> Ranges:
    """For every value the share of its range whose rounding and clipping have the least squared error together.

    The output keeps its range: what is largest there is the answer.

    Args:
        graph: The network.
        weights: Its state dict.
        ranges: Lowest and highest values, as `observed_ranges` gives them.
        images: Normalised inputs, shape (N, height, width, channels), at least one.

    Source: Nagel et al., arXiv 2106.08295, section 3.1, "MSE".
    Differs from the paper: a few shares of the whole range are tried instead of a finer search.
    """
    names = ["input_0", *(node.name for node in graph.nodes)]
    errors = np.zeros((len(names), len(SHARES)))
    for values in all_values(graph, weights, images):
        for i, value in enumerate(values):
            low, high = min(ranges[names[i]][0], 0.0), max(ranges[names[i]][1], 0.0)
            errors[i] += [_error(value, share * low, share * high) for share in SHARES]
    best = {name: SHARES[int(errors[i].argmin())] for i, name in enumerate(names)}
    best |= {names[i]: 1.0 for i in graph.outputs}
    return {name: (best[name] * ranges[name][0], best[name] * ranges[name][1]) for name in names}


def _error(x: Tensor, low: float, high: float) -> float:
    if not low < high:
        return 0.0
    found = quantization(low, high)
    rounded = torch.fake_quantize_per_tensor_affine(x, float(found.scale[0]), found.zero_point, -128, 127)
    return float((rounded - x).square().mean())
