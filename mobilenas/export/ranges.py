"""Which int8 quantization each tensor of a network has."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mobilenas.errors import InputError, shorten
from mobilenas.export.lowering import LOGISTIC_BOUNDS, lower
from mobilenas.export.quantization import BIAS_LIMIT, STEPS, WEIGHT_LIMIT, Quantization, quantization
from mobilenas.export.tflite_op import Constant, Input, Parameter, Result, TfliteOp
from mobilenas.graph import OpGraph, OpNode

Ranges = Mapping[str, tuple[float, float]]
"""(low, high) of what a node gives, by its name, and of the inputs, by `input_<i>`."""

NOMINAL = (-6.0, 6.0)
"""The range of every value in files that are only timed."""
KEEPS_SCALE = frozenset({"MAX_POOL_2D", "PAD", "SLICE", "CONCATENATION", "RESHAPE", "TRANSPOSE"})
"""Operators whose int8 output must have the scale of every input."""
RATIOS = {
    "ADD": (2.0**-9.9, 2.0**7.9),
    "MUL": (2.0**-15.9, 2.0**7.9),
    "MEAN": (2.0**-7.9, 2.0**6.9),
    "QUANTIZE": (2.0**-7.9, 2.0**6.9),
    "CONV_2D": (0.0, 2.0**7.9),
    "DEPTHWISE_CONV_2D": (0.0, 2.0**7.9),
    "FULLY_CONNECTED": (0.0, 2.0**7.9),
}
"""Between what bounds XNNPACK wants input scale / output scale; of a product, the product of the scales."""
PRODUCTS = frozenset({"MUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
PASSES = 64
REAL = -1
"""Stands for a tensor that is float32."""


class QuantizationPlan:
    """The quantization of every input and of every operator's output.

    Tensors that must share a scale form a group with the range of all of them. Every range is widened to hold 0, and
    where XNNPACK would refuse the ratio of two scales; a range that is only 0 becomes as small as its neighbours allow.

    Args:
        graph: The network.
        largest: Largest absolute weight and bias of each node; 0 for those without weights.
        ranges: Ranges as they were observed, or None for nominal ones.

    Raises:
        InputError: If a range is missing, not finite, or its low end above its high end.
    """

    def __init__(self, graph: OpGraph, largest: Sequence[tuple[float, float]], ranges: Ranges | None) -> None:
        self._ranges = ranges
        self._parents: list[int] = []
        self._bounds: list[tuple[float, float]] = []
        self._fixed: set[int] = set()
        self._limits: list[tuple[str, list[int], float, float, int]] = []
        values = [self._tensor(self._observed(f"input_{i}")) for i in range(len(graph.input_shapes))]
        self._inputs = list(values)
        self._results: list[list[int]] = []
        for node, (weight, bias) in zip(graph.nodes, largest, strict=True):
            results: list[int] = []
            for op in lower(node.spec, "int8"):
                sources = [values[node.inputs[o.index]] for o in op.inputs if isinstance(o, Input)]
                sources += [results[o.index] for o in op.inputs if isinstance(o, Result)]
                results.append(self._add(op, node, sources, weight, bias))
            values.append(results[-1])
            self._results.append(results)
        self._settle()
        self._found: dict[int, Quantization] = {}

    def input(self, index: int) -> Quantization:
        """Quantization of an input of the network."""
        return self._quantization(self._inputs[index])

    def result(self, node: int, operator: int) -> Quantization | None:
        """Quantization of the output of one operator of one node's lowering; None where it is float32."""
        tensor = self._results[node][operator]
        return None if tensor == REAL else self._quantization(tensor)

    def value(self, node: int) -> Quantization:
        """Quantization of what a node gives."""
        return self._quantization(self._results[node][-1])

    def _quantization(self, tensor: int) -> Quantization:
        group = self._group(tensor)
        if group not in self._found:
            self._found[group] = quantization(*self._bounds[group])
        return self._found[group]

    def _add(self, op: TfliteOp, node: OpNode, sources: Sequence[int], weight: float, bias: float) -> int:
        if op.real:
            return REAL
        if op.code in KEEPS_SCALE:
            out = self._tensor((0.0, 0.0))
            for source in sources:
                self._join(source, out)
        elif op.bounds:
            out = self._tensor(op.bounds)
            if op.bounds == LOGISTIC_BOUNDS:
                self._fixed.add(out)
        else:
            low, high = self._observed(node.name)
            activation = op.options.get("fusedActivationFunction")
            low = low if activation in (None, "NONE") else 0.0
            out = self._tensor((low, min(high, 6.0) if activation == "RELU6" else high))
        if op.code in RATIOS and REAL not in sources:
            self._limits.append((op.code, list(sources), _constant_scale(op, weight), bias / BIAS_LIMIT, out))
        return out

    def _observed(self, name: str) -> tuple[float, float]:
        if self._ranges is None:
            return NOMINAL
        if name not in self._ranges:
            raise InputError(f"ranges: {shorten(name)} is missing; give (low, high) of every input and every node")
        low, high = self._ranges[name]
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise InputError(
                f"ranges: {shorten(name)} is {low:g} .. {high:g}; give finite numbers, the lower one first"
            )
        return min(float(low), 0.0), max(float(high), 0.0)

    def _tensor(self, bounds: tuple[float, float]) -> int:
        self._parents.append(len(self._parents))
        self._bounds.append(bounds)
        return len(self._parents) - 1

    def _group(self, tensor: int) -> int:
        while self._parents[tensor] != tensor:
            self._parents[tensor] = tensor = self._parents[self._parents[tensor]]
        return tensor

    def _join(self, a: int, b: int) -> None:
        a, b = self._group(a), self._group(b)
        self._parents[b] = a
        self._bounds[a] = min(self._bounds[a][0], self._bounds[b][0]), max(self._bounds[a][1], self._bounds[b][1])

    def _scale(self, tensor: int) -> float:
        low, high = self._bounds[self._group(tensor)]
        return (high - low) / STEPS

    def _widen(self, tensor: int, scale: float) -> bool:
        """Widens a group's range to a scale; says whether it had to."""
        group = self._group(tensor)
        found = self._scale(group)
        if found >= scale * (1 - 1e-6) or group in self._fixed:
            return False
        low, high = self._bounds[group]
        self._bounds[group] = (low * scale / found, high * scale / found) if found > 0 else (0.0, scale * STEPS)
        return True

    def _settle(self) -> None:
        tiny = float(np.finfo(np.float32).tiny) * 2**40
        for tensor in range(len(self._parents)):
            self._widen(tensor, tiny)
        for _ in range(PASSES):
            if not any([self._satisfy(*limit) for limit in self._limits]):
                break

    def _satisfy(self, code: str, sources: Sequence[int], constant: float, least: float, out: int) -> bool:
        lowest, highest = RATIOS[code]
        if code in PRODUCTS:
            factors = [self._scale(source) for source in sources]
            product = max(constant * math.prod(factors), least)  # so that the bias fits, see `quantized_kernel`
            changed = self._widen(out, product / highest)
            return self._widen(sources[0], factors[0] * lowest * self._scale(out) / product) or changed
        changed = any([self._widen(out, self._scale(source) / highest) for source in sources])
        return any([self._widen(source, self._scale(out) * lowest) for source in sources]) or changed


def _constant_scale(op: TfliteOp, largest: float) -> float:
    """Scale of the constant factor of an operator: of its weights the largest of all channels; 1 without one."""
    for operand in op.inputs[1:]:
        if isinstance(operand, Parameter):
            return max(largest, 1e-30) / WEIGHT_LIMIT
        if isinstance(operand, Constant) and operand.value.dtype == np.float32:
            return float(np.abs(operand.value).max()) / (STEPS if op.code == "MUL" else WEIGHT_LIMIT)
    return 1.0
