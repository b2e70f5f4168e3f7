"""CompiledLatency: the predictor of a whole space as arrays."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mobilenas.graph import OpSpec
from mobilenas.latency.predictor import INTERVAL, SHARED_ERROR, LatencyPredictor
from mobilenas.spaces import Factor, SearchSpace

Floats = npt.NDArray[np.float64]
Genotypes = npt.NDArray[np.integer]
CHUNK = 4096
"""Genotypes that are looked up at once, so that the intermediate arrays stay in the cache."""


class CompiledLatency:
    """Latency of genotypes without building their graphs: one array look-up a factor of the space.

    Equal to `LatencyPredictor.predict` of the decoded graph, the footprint term and the interval included.

    Args:
        predictor: Where the figures come from.
        space: A space whose ops are a sum over factors.
    """

    def __init__(self, predictor: LatencyPredictor, space: SearchSpace) -> None:
        self._predictor = predictor
        self._choices = tuple(len(choices) for choices in space.decisions.values())
        costs: dict[OpSpec, Floats] = {}
        self._factors = [_FactorTable(factor, self._choices, predictor, costs) for factor in space.factors()]
        self.interpolated = any(table.values[:, 2].any() for table in self._factors)

    def latency_ms(self, genotypes: Genotypes | Sequence[Sequence[int]]) -> Floats:
        """Predicted latency of each genotype.

        Args:
            genotypes: Integers, shape (N, decisions).

        Returns:
            Milliseconds, shape (N,).
        """
        return self._total_us(self._sums(genotypes)) / 1e3

    def upper_ms(self, genotypes: Genotypes | Sequence[Sequence[int]]) -> Floats:
        """Upper end of each genotype's 90 % interval, milliseconds, shape (N,)."""
        sums = self._sums(genotypes)
        total = self._total_us(sums)
        ops = SHARED_ERROR * sums[:, 2] ** 2 + (1 - SHARED_ERROR) * sums[:, 3]
        error = self._predictor.table.calibration.error
        return (total + INTERVAL * np.sqrt((error * total) ** 2 + ops)) / 1e3

    def _total_us(self, sums: Floats) -> Floats:
        table = self._predictor.table
        return table.info.overhead_us + table.calibration.network_us(sums[:, 0], sums[:, 1])

    def _sums(self, genotypes: Genotypes | Sequence[Sequence[int]]) -> Floats:
        """Sums over all ops, shape (N, 4): microseconds, weight bytes, standard errors, variances."""
        array = np.atleast_2d(np.asarray(genotypes))
        sums = np.zeros((len(array), 4))
        for start in range(0, len(array), CHUNK):
            part = np.ascontiguousarray(array[start : start + CHUNK].T)
            for table in self._factors:
                sums[start : start + CHUNK] += table.look_up(part)
        return sums


class _FactorTable:
    """What one factor contributes, by the combination of its choices."""

    def __init__(
        self, factor: Factor, choices: Sequence[int], predictor: LatencyPredictor, costs: dict[OpSpec, Floats]
    ) -> None:
        self._decisions = factor.decisions
        sizes = [choices[d] for d in factor.decisions]
        self._strides = [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]
        rows = [
            _contribution(factor.ops(combination), costs, predictor)
            for combination in itertools.product(*(range(size) for size in sizes))
        ]
        self.values = np.array(rows)

    def look_up(self, genotypes: Genotypes) -> Floats:
        """Contributions of genotypes given as (decisions, N), shape (N, 4)."""
        index = np.zeros(genotypes.shape[1], np.intp)
        for decision, stride in zip(self._decisions, self._strides, strict=True):
            index += genotypes[decision].astype(np.intp) * stride
        return self.values[index]


def _contribution(counts: Mapping[OpSpec, int], costs: dict[OpSpec, Floats], predictor: LatencyPredictor) -> Floats:
    """Microseconds, weight bytes, standard errors and variances, summed over ops."""
    total = np.zeros(4)
    for op, count in counts.items():
        if op not in costs:
            latency = predictor.op_latency(op)
            size = op.weight_bytes(predictor.table.info.dtype)
            costs[op] = np.array([latency.latency_us, size, latency.error_us, latency.error_us**2])
        total += count * costs[op]
    return total
