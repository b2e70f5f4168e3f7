"""CompiledLatency: the predictor of a whole space as arrays."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import ACTIVATION_BYTES, OpSpec
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.table import command_for_table
from mobilenas.spaces import Factor, FactorIndex, SearchSpace, checked_genotypes, columns_of

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.complex128]
"""Two figures each, real and imaginary part: numpy gathers and adds such a pair in one step."""
Genotypes = npt.NDArray[np.integer]
CHUNK = 8192
"""Genotypes that are looked up at once, so that the intermediate arrays stay in the cache."""
LEAST_BYTES = 4
"""Of a floating-point number that expected latencies are computed in."""


class CompiledLatency:
    """Latency of genotypes without building their graphs: one array look-up a factor of the space.

    Equal to `LatencyPredictor.predict` of the decoded graph, the footprint term and the interval included.

    Args:
        predictor: Where the figures come from.
        space: A space whose ops are a sum over factors.

    Raises:
        InputError: If the table has rows of whole blocks: factors are sums of ops, and would not see them;
            or if its figures are no times.
    """

    def __init__(self, predictor: LatencyPredictor, space: SearchSpace) -> None:
        if predictor.table.blocks:
            info = predictor.table.info
            raise InputError(
                f"the table of {info.device} is of whole blocks, and a search needs one of ops; "
                f"run: {command_for_table(info.device, info.dtype)} --fresh"
            )
        predictor.unit.check_is_time(f"the table of {predictor.table.info.device}")
        self.predictor = predictor
        self._choices = tuple(len(choices) for choices in space.decisions.values())
        costs: dict[OpSpec, Floats] = {}
        self._factors = [_FactorTable(factor, self._choices, predictor, costs) for factor in space.factors()]
        self._least_alive = max(table.alive.min() for table in self._factors)
        self.interpolated = any(table.errors.any() for table in self._factors)

    def latency_ms(self, genotypes: Genotypes | Sequence[Sequence[int]]) -> Floats:
        """Predicted latency of each genotype.

        Args:
            genotypes: Integers, shape (N, decisions).

        Returns:
            Milliseconds, shape (N,).

        Raises:
            InputError: If they are no genotypes of the space.
        """
        return self._total_us(self._sums(genotypes, errors=False)[0]) / 1e3

    def upper_ms(self, genotypes: Genotypes | Sequence[Sequence[int]]) -> Floats:
        """Upper end of each genotype's 90 % interval, milliseconds, shape (N,).

        Raises:
            InputError: If they are no genotypes of the space.
        """
        costs, errors = self._sums(genotypes, errors=True)
        total = self._total_us(costs)
        return (total + self.predictor.half_width_us(total, errors.real, errors.imag)) / 1e3

    def expected_ms(self, probabilities: Sequence["Tensor"]) -> "Tensor":
        """Expected latency of a network whose choices are drawn independently, differentiable.

        The footprint term is taken at the expected bytes of weights and the largest of the factors' expected bytes of
        activations: it is convex in them, so the result is at most the true expectation, and equal to it where they are
        certain.

        Args:
            probabilities: One tensor a decision, its choices' probabilities, shape (choices,).

        Returns:
            Milliseconds, a scalar, in float32 at least; gradients flow to `probabilities`.

        Raises:
            InputError: If they are not as many as the space has decisions and choices.

        Source: the expected latency of FBNet (arXiv:1812.03443, section 3.3) and ProxylessNAS (arXiv:1812.00332,
        section 3.3.2).

        Differs from the paper: ops that depend on several decisions (a block's input channels on the filters before
        it) are weighted by their joint probability instead of being told apart by one decision only.
        """
        self._check_shapes([tuple(each.shape) for each in probabilities])
        wide = [_widened(each) for each in probabilities]
        us, size, alive = (wide[0].new_zeros(()) for _ in range(3))
        for table in self._factors:
            joint = wide[0].new_ones(1)
            for decision in table.decisions:
                joint = (joint[:, None] * wide[decision]).flatten()
            table_us, table_bytes, table_alive = table.tensors(joint)
            us, size, alive = us + joint @ table_us, size + joint @ table_bytes, alive.maximum(joint @ table_alive)
        info, calibration = self.predictor.table.info, self.predictor.table.calibration
        beyond = ((size + alive) / 1e6 - calibration.cache_mb).clamp(min=0)
        return (info.overhead_us + calibration.scale * us + calibration.us_per_mb * beyond) / 1e3

    def _check_shapes(self, shapes: Sequence[tuple[int, ...]]) -> None:
        if len(shapes) != len(self._choices):
            raise InputError(f"{len(shapes)} tensors of probabilities are not accepted; give {len(self._choices)}")
        for decision, (shape, count) in enumerate(zip(shapes, self._choices, strict=True)):
            if shape != (count,):
                raise InputError(
                    f"probabilities of shape {shape} for decision {decision} are not accepted; give {(count,)}"
                )

    def _total_us(self, costs: Pairs) -> Floats:
        table = self.predictor.table
        return table.info.overhead_us + table.calibration.network_us(costs.real, costs.imag)

    def _sums(self, genotypes: Genotypes | Sequence[Sequence[int]], errors: bool) -> tuple[Pairs, Pairs]:
        """Sums over all ops, shape (N,): (microseconds, footprint) and, where asked, (errors, variances)."""
        array = checked_genotypes(genotypes, self._choices)
        costs, doubts = np.zeros(len(array), np.complex128), np.zeros(len(array), np.complex128)
        for start in range(0, len(array), CHUNK):
            part = columns_of(array[start : start + CHUNK], self._choices)
            alive = np.full(part.shape[1], self._least_alive)
            for table in self._factors:
                index = table.index.of(part)
                costs[start : start + CHUNK] += table.costs[index]
                if errors and self.interpolated:
                    doubts[start : start + CHUNK] += table.errors[index]
                if table.most_alive > self._least_alive:
                    np.maximum(alive, table.alive[index], out=alive)
            costs[start : start + CHUNK].imag += alive
        return costs, doubts


def _widened(probabilities: "Tensor") -> "Tensor":
    """In float32 at least: bytes of weights are more than float16 holds, and whole numbers would cut latencies off."""
    is_wide = probabilities.is_floating_point() and probabilities.dtype.itemsize >= LEAST_BYTES
    return probabilities if is_wide else probabilities.float()


class _FactorTable:
    """What one factor contributes, by the combination of its choices.

    Attributes:
        decisions: Indices of its decisions.
        index: Numbers the combinations of its choices.
        costs: (microseconds, bytes of weights that count), by combination.
        errors: (standard error, variance), by combination.
        alive: Bytes of the activations that are alive at its peak, by combination; 0 where they do not count. Of a
            network's factors the largest counts.
        most_alive: The most of them.
    """

    def __init__(
        self, factor: Factor, choices: Sequence[int], predictor: LatencyPredictor, costs: dict[OpSpec, Floats]
    ) -> None:
        self.decisions = factor.decisions
        self.index = FactorIndex(factor, choices)
        pieces = [factor.emit(combination) for combination in self.index.combinations()]
        rows = np.array([_contribution(piece.ops, costs, predictor) for piece in pieces])
        self.costs: Pairs = rows[:, 0] + 1j * rows[:, 1]
        self.errors: Pairs = rows[:, 2] + 1j * rows[:, 3]
        element_bytes = (
            ACTIVATION_BYTES[predictor.table.info.dtype] * predictor.table.calibration.footprint.has_activations
        )
        self.alive = element_bytes * np.array([float(p.peak_elements) for p in pieces])
        self.most_alive = float(self.alive.max())
        self._tensors: dict[tuple[object, object], tuple[Tensor, Tensor, Tensor]] = {}

    def tensors(self, like: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
        """Microseconds, bytes that count and `alive` by combination, of the type and on the device of `like`."""
        key = (like.dtype, like.device)
        if key not in self._tensors:
            arrays = (self.costs.real, self.costs.imag, self.alive)
            us, size, alive = (like.new_tensor(array) for array in arrays)
            self._tensors[key] = us, size, alive
        return self._tensors[key]


def _contribution(counts: Mapping[OpSpec, int], costs: dict[OpSpec, Floats], predictor: LatencyPredictor) -> Floats:
    """Microseconds, times factors, bytes of weights that count, standard errors and variances, summed over ops."""
    total = np.zeros(4)
    for op, count in counts.items():
        if op not in costs:
            latency, calibration = predictor.op_latency(op), predictor.table.calibration
            factor, size = calibration.factor(op), calibration.footprint.weight_bytes(op, predictor.table.info.dtype)
            error_us = factor * latency.error_us
            costs[op] = np.array([factor * latency.latency_us, size, error_us, error_us**2])
        total += count * costs[op]
    return total
