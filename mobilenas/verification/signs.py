"""weights_check: are an int8 file's weights those of the network? It needs neither images nor torch."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, Weights, lower
from mobilenas.export.constants import KERNEL_AXES, parameters
from mobilenas.export.tflite_op import Parameter
from mobilenas.graph import WEIGHTED, OpGraph
from mobilenas.verification.report import Check

Array = npt.NDArray[np.generic]
SAME_SIGNS, SAME_SIGNS_FINE_TUNED = 0.999, 0.8
"""Share of the weights of each layer that must keep their sign; a file with others has about half of them.

Scales are above 0, and so are the factors of equalisation: neither rounding nor it turns a weight that is not 0.
"""


def weights_check(model: bytes, graph: OpGraph, weights: Weights, *, fine_tuned: bool = False) -> Check:
    """Whether every layer's weights have the signs of the network's, those aside that are rounded to 0.

    Args:
        model: An int8 file with the operators that `lower` gives.
        graph: The network.
        weights: Its state dict.
        fine_tuned: Whether it was trained on in int8: then of all weights together most must.
    """
    same = count = 0
    least, worst = 1.0, "every layer"
    try:
        for name, stored, wanted in _layers(TfliteFile.parse(model), graph, weights):
            kept = (stored != 0) & (wanted != 0)
            equal, all_of_it = int((np.sign(stored) == np.sign(wanted))[kept].sum()), int(kept.sum())
            same, count = same + equal, count + all_of_it
            if all_of_it and equal / all_of_it < least:
                least, worst = equal / all_of_it, name
    except InputError as error:
        return Check("weights", False, str(error), "the network's")
    if fine_tuned:
        least, worst = (same / count if count else 1.0), "all layers"
    bound = SAME_SIGNS_FINE_TUNED if fine_tuned else SAME_SIGNS
    found = f"{100 * least:.4g} % of the signs are the network's in {worst}"
    return Check("weights", least >= bound, found, f"at least {100 * bound:g} %")


def _layers(file: TfliteFile, graph: OpGraph, weights: Weights) -> Iterator[tuple[str, Array, Array]]:
    """(name, weights in the file, weights of the network) of every node that has some.

    Raises:
        InputError: If the file has other layers.
    """
    found = [operator for operator in file.operators if operator.code in KERNEL_AXES]
    lowered = [(node, op) for node in graph.nodes for op in lower(node.spec, "int8") if op.code in KERNEL_AXES]
    if len(found) != len(lowered):
        raise InputError(f"{len(found)} operators have weights, not {len(lowered)}")
    for operator, (node, op) in zip(found, lowered, strict=True):
        if node.spec.kind in WEIGHTED and op.inputs[1] == Parameter("weight"):
            wanted = parameters(node, weights)["weight"]
            stored = file.constant(operator.inputs[1]) if len(operator.inputs) > 1 else np.zeros(0)
            if stored.shape != wanted.shape:
                raise InputError(f"{node.name} has weights of the shape {list(stored.shape)}")
            yield node.name, stored, wanted
