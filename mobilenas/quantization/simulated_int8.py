"""SimulatedInt8: a network in torch that rounds as its int8 file does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from mobilenas.export import Ranges, Weights, lower
from mobilenas.export.constants import KERNEL_AXES, Stored, int8_constants, parameters
from mobilenas.export.quantization import BIAS_LIMIT, WEIGHT_LIMIT, Quantization
from mobilenas.export.ranges import QuantizationPlan
from mobilenas.export.tflite_op import Constant, Input, Parameter, Result, TfliteOp
from mobilenas.graph import WEIGHTED, OpGraph, OpNode
from mobilenas.nn import GraphModule, set_weights
from mobilenas.quantization.operators import run_operator, torch_layout

TINY = float(torch.finfo(torch.float32).tiny)


@dataclass(frozen=True, slots=True)
class _Step:
    """One operator: the quantizations of its operands and of its output, and its constants.

    Quantizations are None for constants and for what is float32.
    """

    op: TfliteOp
    sources: tuple[Quantization | None, ...]
    out: Quantization | None
    constants: dict[int, str]


class SimulatedInt8(nn.Module):
    """Runs the operators that an int8 file has, and rounds what they read and give to what int8 can hold.

    Weights are rounded anew in every pass, activations within ranges that stay; gradients pass the rounding as if it
    were not there, and end where a value leaves its range. Names in `network`'s state dict are those of the graph.

    Args:
        graph: The network, without batch norm, as `folded_network` gives it; one input and one output.
        weights: Its state dict.
        ranges: As `write_tflite` takes them.

    Raises:
        InputError: If weights or ranges do not fit the network.

    Source: Jacob et al., arXiv 1712.05877, section 3.
    Differs from the paper: batch norm is folded before the training, with the statistics that it has then; the ranges
        of activations do not follow the training but are those observed before it.
    """

    def __init__(self, graph: OpGraph, weights: Weights, ranges: Ranges) -> None:
        super().__init__()
        self.graph = graph
        self.network = GraphModule(graph, seed=None)
        set_weights(self.network, weights)
        plan = QuantizationPlan(graph, [_largest(node, weights) for node in graph.nodes], ranges)
        self._input = plan.input(0)
        values = [self._input]
        self._steps: list[list[_Step]] = []
        for index, node in enumerate(graph.nodes):
            self._steps.append(self._node_steps(index, node, [values[i] for i in node.inputs], plan))
            values.append(plan.value(index))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes)."""
        values: list[Tensor] = [self.input(images)]
        for index, node in enumerate(self.graph.nodes):
            values.append(self.node(index, [values[i] for i in node.inputs]))
        return values[self.graph.outputs[0]].flatten(1)

    def input(self, images: Tensor) -> Tensor:
        """Images as the file's input holds them."""
        return _rounded(images, self._input)

    def node(self, index: int, inputs: Sequence[Tensor]) -> Tensor:
        """What node `index` gives in int8, (N, C, H, W)."""
        results: list[Tensor] = []
        for step in self._steps[index]:
            found = run_operator(step.op, self._operands(index, step, inputs, results))
            results.append(found if step.out is None else _rounded(found, step.out))
        return results[-1]

    def before_activation(self, index: int, inputs: Sequence[Tensor]) -> Tensor:
        """What a node that has weights gives in int8 but for its activation and the rounding of the result."""
        results: list[Tensor] = []
        for step in self._steps[index]:
            plain = replace(step.op, options={**step.op.options, "fusedActivationFunction": "NONE"})
            results.append(run_operator(plain, self._operands(index, step, inputs, results)))
        return results[-1]

    def parameter(self, index: int, name: str) -> nn.Parameter:
        """The "weight" or "bias" of a node."""
        return self.network.get_submodule(self.graph.nodes[index].weight_name).get_parameter(name)

    def _node_steps(
        self, index: int, node: OpNode, inputs: Sequence[Quantization], plan: QuantizationPlan
    ) -> list[_Step]:
        steps: list[_Step] = []
        given = {} if node.spec.kind in WEIGHTED else parameters(node, {})
        for number, op in enumerate(lower(node.spec, "int8")):
            sources = tuple(
                inputs[o.index] if isinstance(o, Input) else steps[o.index].out if isinstance(o, Result) else None
                for o in op.inputs
            )
            out = plan.result(index, number)
            constants = {}
            weighted = any(isinstance(operand, Parameter) for operand in op.inputs) and node.spec.kind in WEIGHTED
            if weighted:  # of an operator with weights a constant is a bias
                found = {i: o.value for i, o in enumerate(op.inputs) if isinstance(o, Constant)}
            else:  # the parameter of a slice, where it begins, is a constant too
                stored = int8_constants(op, given, sources, out)
                found = {i: torch_layout(op, _real(each)) for i, each in stored.items()}
            for i, value in found.items():
                constants[i] = f"constant_{index}_{number}_{i}"
                self.register_buffer(constants[i], torch.from_numpy(np.array(value)), persistent=False)
            steps.append(_Step(op, sources, out, constants))
        return steps

    def _operands(self, index: int, step: _Step, inputs: Sequence[Tensor], results: Sequence[Tensor]) -> list[Tensor]:
        found = []
        for i, operand in enumerate(step.op.inputs):
            match operand:
                case Input(number):
                    found.append(inputs[number])
                case Result(number):
                    found.append(results[number])
                case Constant() | Parameter() if i in step.constants:
                    found.append(self.get_buffer(step.constants[i]))
                case Parameter(name, None):
                    found.append(self.parameter(index, name))
                case Parameter(name, ((top, bottom), (left, right))):
                    found.append(self.parameter(index, name)[:, :, top:bottom, left:right])
        source, out = step.sources[0], step.out
        if isinstance(step.op.inputs[-1], Parameter) and step.op.code in KERNEL_AXES and source and out:
            found[1:] = _rounded_kernel(found[1], found[2], source, out)
        return found


def _largest(node: OpNode, weights: Weights) -> tuple[float, float]:
    if node.spec.kind not in WEIGHTED:
        return 0.0, 0.0
    weight, bias = (float(np.abs(weights[f"{node.weight_name}.{name}"]).max()) for name in ("weight", "bias"))
    return weight, bias


def _real(stored: Stored) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """A constant as real numbers."""
    quantization = stored.quantization
    if quantization is None:
        return stored.values
    shape = [1] * stored.values.ndim
    if len(quantization.scale) > 1:
        shape[quantization.axis] = -1
    steps = stored.values.astype(np.float32) - np.float32(quantization.zero_point)
    return np.asarray(steps * quantization.scale.reshape(shape), np.float32)


def _rounded(x: Tensor, to: Quantization) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x, float(to.scale[0]), to.zero_point, -128, 127)


def _rounded_kernel(weight: Tensor, bias: Tensor, source: Quantization, out: Quantization) -> tuple[Tensor, Tensor]:
    """Weights and bias as `quantized_kernel` stores them, but in torch's layout and with gradients."""
    source_scale, out_scale = float(source.scale[0]), float(out.scale[0])
    with torch.no_grad():
        floor = (bias.abs() / (source_scale * BIAS_LIMIT)).clamp(min=max(out_scale / source_scale * 2.0**-31, TINY))
        scale = torch.maximum(weight.abs().flatten(1).amax(1) / WEIGHT_LIMIT, floor)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        step = source_scale * scale
        shift = torch.round(bias / step) * step - bias
    rounded = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return rounded, bias + shift
