"""weights_checks: are an int8 file's weights those of the network? It needs neither images nor torch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, Weights
from mobilenas.export.weights import check_finite
from mobilenas.graph import ChannelGroups, OpGraph, OpKind
from mobilenas.verification.int8_layers import Array, Layer, layers_of
from mobilenas.verification.report import Check

ROUNDING = 12.0**-0.5
"""Standard deviation of what rounding loses, in steps."""
MOST_DEVIATIONS = 1.75
"""Root mean square difference of a layer's weights, in standard deviations of what may be; rounding alone makes 1."""
MOST_FACTOR = 17.0
"""How far from 1 the factors of equalisation may be: they end at 16, and are found from rounded weights."""
UNKNOWN = 8.0
"""Standard error of a factor of which nothing is known."""
FEW_STEPS = 3
"""Rows without a weight of so many steps say only which factors are too small for them."""
BIAS_SHARE, BIAS_RANGE, BIAS_STEPS = 0.5, 0.05, 30.0
"""How far bias correction may move the biases of a layer, root mean square.

The largest of a share of them, a share of the output's range, and what so many steps of the input come to after the
weights.
"""
SAME_SIGNS, SAME_SIGNS_OF_A_LAYER, LEAST_SIGNS = 0.8, 0.7, 64
"""Share of the weights, and of a layer's where it has so many, that must keep their sign where they were trained on in
int8; other weights keep half."""
LARGE_STEPS, LARGE_KEPT = 2 * MOST_FACTOR, 0.5
"""Weights of so many steps are not 0 after any factor of equalisation; what share of a layer's may be, trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Factors:
    """What the channels of a group were divided by, and the relative standard error of it; shape (channels,)."""

    values: Array
    errors: Array

    @classmethod
    def fixed(cls, count: int) -> "_Factors":
        return cls(np.ones(count), np.zeros(count))

    def refined(self, found: "_Factors") -> "_Factors":
        """With what another layer says of them."""
        before, more = np.square(self.errors) ** -1, np.square(found.errors) ** -1
        logarithm = (before * np.log(self.values) + more * np.log(found.values)) / (before + more)
        return _Factors(np.exp(logarithm), (before + more) ** -0.5)


@dataclass(slots=True)
class _Worst:
    """The layer with the largest difference, as a share of what is allowed."""

    share: float = 0.0
    found: str = "the network's"

    def add(self, share: float, found: str) -> None:
        if share > self.share:
            self.share, self.found = share, found

    def check(self, name: str, wanted: str) -> Check:
        return Check(name, self.share <= 1, self.found, wanted)


def weights_checks(file: TfliteFile, graph: OpGraph, weights: Weights, *, fine_tuned: bool = False) -> list[Check]:
    """Whether every layer's weights and biases are the network's, but for what `quantize` does to them.

    That is rounding, and the factors of equalisation for the weights, and bias correction for the biases.

    Args:
        file: An int8 file with the operators that `lower` gives.
        graph: The network.
        weights: Its state dict.
        fine_tuned: Whether it was trained on in int8: then most of all weights together must have the same sign, and
            biases are not compared. So must most of each layer's, and few of its large weights may be 0.
    """
    try:
        check_finite(weights)
        layers = layers_of(file, graph, weights)
        return [_signs_check(layers)] if fine_tuned else _rounding_checks(layers, ChannelGroups(graph))
    except InputError as error:
        return [Check("weights", False, str(error), "the network's")]


def _signs_check(layers: Iterator[Layer]) -> Check:
    same = count = 0
    wanted = f"at least {100 * SAME_SIGNS:g} %, and {100 * SAME_SIGNS_OF_A_LAYER:g} % in each layer"
    for layer in layers:
        kept = (layer.stored != 0) & (layer.steps != 0)
        equal, compared = int((np.sign(layer.stored) == np.sign(layer.steps))[kept].sum()), int(kept.sum())
        if compared >= LEAST_SIGNS and equal < SAME_SIGNS_OF_A_LAYER * compared:
            return Check("weights", False, f"{100 * equal / compared:.4g} % in {layer.node.name}", wanted)
        large = np.abs(layer.steps) >= LARGE_STEPS
        if (layer.stored[large] != 0).sum() < LARGE_KEPT * large.sum():
            return Check("weights", False, f"0 for most large weights of {layer.node.name}", wanted)
        same, count = same + equal, count + compared
    share = same / count if count else 1.0
    return Check("weights", share >= SAME_SIGNS, f"{100 * share:.4g} % of the signs are the network's", wanted)


def _rounding_checks(layers: Iterator[Layer], groups: ChannelGroups) -> list[Check]:
    """The factors of a group are found where it is first written, and hold for all who write or read it after."""
    free = set(groups.free())
    factors: dict[int, _Factors] = {}
    weights, biases = _Worst(), _Worst()
    for layer in layers:
        group = groups.of(layer.value)
        wanted, variance = _read(layer, factors.get(groups.of(layer.node.inputs[0])))
        written = _Factors.fixed(len(wanted))
        if group in free:
            found = _written(layer.stored, wanted, variance)
            written = factors.get(group, found)
            factors[group] = written.refined(found) if group in factors else found
        expected = wanted / written.values[:, None]
        variance = (
            ROUNDING**2 + variance / np.square(written.values)[:, None] + np.square(expected * written.errors[:, None])
        )
        deviations = _root_mean_square((layer.stored - expected) / np.sqrt(variance))
        weights.add(deviations / MOST_DEVIATIONS, f"{deviations:.2g} times what rounding makes in {layer.node.name}")
        moved, allowed = _bias(layer, written)
        biases.add(moved / allowed, f"{moved:.2g} from the network's in {layer.node.name}, where {allowed:.2g} may be")
    return [
        weights.check("weights", f"at most {MOST_DEVIATIONS:g} times (root mean square)"),
        biases.check("biases", "at most what bias correction moves"),
    ]


def _bias(layer: Layer, written: _Factors) -> tuple[float, float]:
    """By how much the biases differ from the network's, and by how much they may; channels of known factors alone."""
    known = written.errors < 0.1
    bias = layer.bias[known] / written.values[known]
    allowed = max(
        BIAS_SHARE * _root_mean_square(bias),
        BIAS_RANGE * layer.output_range,
        BIAS_STEPS * _root_mean_square(layer.input_step[known]),
    )
    return _root_mean_square(layer.stored_bias[known] - bias), allowed


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean())) if values.size else 0.0


def _read(layer: Layer, factors: _Factors | None) -> tuple[Array, Array]:
    """Weights of the network times the factors of the channels that they read, and the variance of that."""
    steps = layer.steps
    if factors is None:
        return steps, np.zeros_like(steps)
    if layer.node.spec.kind is OpKind.DEPTHWISE_CONV2D:  # a row for every channel
        wanted = steps * factors.values[:, None]
        return wanted, np.square(wanted * factors.errors[:, None])
    columns = steps.reshape(len(steps), -1, len(factors.values)) * factors.values
    return columns.reshape(steps.shape), np.square(columns * factors.errors).reshape(steps.shape)


def _written(stored: Array, wanted: Array, variance: Array) -> _Factors:
    """What every row was divided by, by least squares; 1, with a large error, for those that say nothing."""
    worth = 1 / (ROUNDING**2 + variance)
    squares = (worth * np.square(wanted)).sum(1)
    largest = np.abs(stored).max(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.clip((worth * stored * wanted).sum(1) / squares, 1 / MOST_FACTOR, MOST_FACTOR)
        errors = 1 / (np.sqrt(squares) * inverse)
    says = np.isfinite(inverse) & (errors < UNKNOWN)
    says &= (largest >= FEW_STEPS) | (np.abs(wanted).max(1) > MOST_FACTOR * (largest + 0.5))
    return _Factors(1 / np.where(says, inverse, 1.0), np.maximum(np.where(says, errors, UNKNOWN), 1e-6))
