"""Rules for sums, products and activations."""

import math
from typing import Any

import torch
from torch import Tensor

from mobilenas.export.lowering import GELU_BEND, GELU_SLOPE
from mobilenas.graph import OpKind
from mobilenas.nn.tracing.rules import Call, rule
from mobilenas.nn.tracing.translator import Translator
from mobilenas.nn.tracing.values import Padded, Shifted, Traced, Value

ALONE = {
    "hardswish": OpKind.HARD_SWISH,
    "hardsigmoid": OpKind.HARD_SIGMOID,
    "sigmoid": OpKind.SIGMOID,
    "silu": OpKind.SILU,
}
"""Activations that are ops of their own."""


def _register(name: str, kind: OpKind) -> None:
    @rule(name)
    def activation(call: Call) -> Value:
        return call.to.op(kind, call.value("input" if call["self"] is None else "self"))


for _name, _kind in ALONE.items():
    _register(_name, _kind)


@rule("relu")
def relu(call: Call) -> Value:
    """ReLU."""
    return call.to.activate(call.value("self"), "relu", alone=call.alone)


@rule("relu6")
def relu6(call: Call) -> Traced:
    """ReLU6; behind a sum with a number it may become a hard sigmoid."""
    x = call["self"]
    if isinstance(x, Shifted) and not x.clamped:
        return Shifted(x.value, x.shift, clamped=True)
    return call.to.activate(call.value("self"), "relu6", alone=call.alone)


@rule("hardtanh", "clamp", "clamp_min")
def clamp(call: Call) -> Traced:
    """Between bounds: a ReLU or ReLU6, or a ReLU6 of what is scaled to fit it."""
    low = call["min_val"] if call["min"] is None else call["min"]
    high = call["max_val"] if call["max"] is None else call["max"]
    if low == 0 and high == 6:
        return relu6(call)
    if low == 0 and high in (None, math.inf):
        return relu(call)
    if not all(isinstance(bound, int | float) and math.isfinite(bound) for bound in (low, high)) or low >= high:
        raise call.to.stop(f"between {low} and {high}")
    return _between(call.to, call.value("self"), float(low), float(high))


def _between(to: Translator, x: Value, low: float, high: float) -> Value:
    scale = (high - low) / 6
    inside = to.activate(_linear(to, x, 1 / scale, -low / scale), "relu6", alone=True)
    return _linear(to, inside, scale, low)


@rule("leaky_relu")
def leaky_relu(call: Call) -> Value:
    """What is below 0 times a number."""
    return _leaky(call.to, call.value("self"), torch.tensor(float(call["negative_slope"])))


@rule("prelu", "_prelu_kernel")
def prelu(call: Call) -> Value:
    """What is below 0 times a number, or one a channel."""
    return _leaky(call.to, call.value("self"), call.constant("weight"))


def _leaky(to: Translator, x: Value, slope: Tensor) -> Value:
    """The sum of slope * x and (1 - slope) * relu(x): ops that every dtype has a fast form of."""
    slopes = slope.reshape(-1).expand(x.shape[2] if slope.numel() == 1 else to.channels(x))
    positive = to.affine(to.op(OpKind.RELU, x), 1 - slopes, None)
    return to.op(OpKind.ADD, to.affine(x, slopes, None), positive)


@rule("tanh")
def tanh(call: Call) -> Value:
    """As 2 * sigmoid(2 * x) - 1."""
    x = call.value("self")
    return _linear(call.to, call.to.op(OpKind.SIGMOID, _linear(call.to, x, 2.0, 0.0)), 2.0, -1.0)


@rule("gelu")
def gelu(call: Call) -> Value:
    """GELU; with its tanh written out as x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x**3))."""
    x, to = call.value("self"), call.to
    if call["approximate"] == "none":
        return to.op(OpKind.GELU, x)
    factor = _linear(to, to.op(OpKind.MUL, x, x), GELU_BEND, GELU_SLOPE)
    return to.op(OpKind.MUL, x, to.op(OpKind.SIGMOID, to.op(OpKind.MUL, x, factor)))


def _linear(to: Translator, x: Value, factor: float, summand: float) -> Value:
    """Every channel times a number plus a number."""
    shift = torch.full((x.shape[2],), summand) if summand else None
    return to.affine(x, torch.full((x.shape[2],), factor), shift)


@rule("add")
def add(call: Call) -> Traced:
    """A sum of two values, or with a constant."""
    return _sum(call, call["self"], call["other"], 1.0)


@rule("sub")
def subtract(call: Call) -> Traced:
    """A difference."""
    return _sum(call, call["self"], call["other"], -1.0)


@rule("rsub")
def subtract_from(call: Call) -> Traced:
    """A difference the other way round: a number minus a value."""
    return _sum(call, call["other"], call["self"], -1.0)


def _sum(call: Call, a: Any, b: Any, sign: float) -> Traced:
    """The sum of a and sign * alpha * b, of which one may be a constant."""
    sign *= 1.0 if call["alpha"] is None else float(call["alpha"])
    if isinstance(b, int | float):
        value = call.to.value(a)
        return Shifted(value, sign * b)
    if isinstance(a, int | float | Tensor):
        value = call.to.value(b)
        scale = None if sign == 1 else torch.full((value.shape[2],), sign)
        return call.to.affine(value, scale, _by_channel(call, torch.as_tensor(a), value))
    value = call.to.value(a)
    if isinstance(b, Tensor):
        return call.to.affine(value, None, sign * _by_channel(call, b, value))
    other = call.to.value(b)
    if sign != 1:
        other = call.to.affine(other, torch.full((other.shape[2],), sign), None)
    return _two(call, OpKind.ADD, value, other)


@rule("mul")
def multiply(call: Call) -> Traced:
    """A product of two values, or with a constant."""
    a, b = call["self"], call["other"]
    if isinstance(b, int | float):
        return _scaled(call, a, float(b))
    if isinstance(a, Tensor):
        a, b = b, a
    value = call.to.value(a)
    if isinstance(b, Tensor):
        return call.to.affine(value, _by_channel(call, b, value), None)
    return _two(call, OpKind.MUL, value, call.to.value(b))


@rule("div")
def divide(call: Call) -> Traced:
    """A quotient with a constant."""
    divisor = call["other"]
    if not isinstance(divisor, int | float | Tensor):
        raise call.to.stop("by what is computed from the image")
    if (torch.as_tensor(divisor) == 0).any():
        raise call.to.stop("by zero")
    if call["rounding_mode"] is not None:
        raise call.to.stop(f"rounded by {call['rounding_mode']}")
    if isinstance(divisor, Tensor):
        value = call.value("self")
        return call.to.affine(value, _by_channel(call, 1 / divisor, value), None)
    return _scaled(call, call["self"], 1 / divisor)


def _scaled(call: Call, x: Traced, factor: float) -> Value:
    """A product with a number; x + 3 between 0 and 6 becomes a hard sigmoid."""
    if isinstance(x, Shifted) and x.clamped and x.shift == 3 and math.isclose(factor, 1 / 6, rel_tol=1e-6):
        return call.to.op(OpKind.HARD_SIGMOID, x.value)
    value = call.to.value(x)
    return call.to.affine(value, torch.full((value.shape[2],), factor), None)


def _two(call: Call, kind: OpKind, a: Value, b: Value) -> Value:
    if a.layout != b.layout:
        raise call.to.stop(f"of sizes {a.sizes} and {b.sizes}")
    return call.to.op(kind, a, b, out_channels=max(a.shape[2], b.shape[2]))


def _by_channel(call: Call, constant: Tensor, value: Value) -> Tensor:
    """A constant as one number a channel."""
    channels = value.shape[2]
    axis = {"image": 1, "flat": 1, "row": 1, "last": 3}[value.layout]
    sizes = (1,) * (len(value.sizes) - constant.dim()) + tuple(constant.shape)
    others = [size for i, size in enumerate(sizes) if i != axis]
    flat = value.layout == "flat" and value.shape[:2] != (1, 1)
    if len(sizes) != len(value.sizes) or any(size != 1 for size in others) or flat:
        raise call.to.stop(f"with a constant of sizes {tuple(constant.shape)}, which is no number a channel")
    return constant.reshape(-1).expand(channels) if constant.numel() == 1 else constant.reshape(-1)


@rule("pad", "constant_pad_nd")
def pad(call: Call) -> Padded:
    """A border of one value around an image."""
    given = [int(amount) for amount in call["pad"]]
    mode = call["mode"] or "constant"
    if mode != "constant" or min(given) < 0 or any(given[4:]):
        raise call.to.stop(f"of {given} in mode {mode!r}")
    left, right, top, bottom, *_ = (*given, 0, 0, 0, 0)
    return Padded(call.image("self"), ((top, bottom), (left, right)), float(call["value"] or 0.0), call.to.node)
