"""Rules for sums, products and activations."""

import math

import torch
from torch import Tensor

from mobilenas.graph import OpKind
from mobilenas.nn.tracing.rules import Call, rule
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
    """Between bounds that are those of ReLU or ReLU6."""
    low = call["min_val"] if call["min"] is None else call["min"]
    high = call["max_val"] if call["max"] is None else call["max"]
    if low == 0 and high == 6:
        return relu6(call)
    if low == 0 and high in (None, math.inf):
        return relu(call)
    raise call.to.stop(f"between {low} and {high}")


@rule("add")
def add(call: Call) -> Traced:
    """A sum of two values, or with a constant."""
    return _sum(call, 1.0)


@rule("sub")
def subtract(call: Call) -> Traced:
    """A difference."""
    return _sum(call, -1.0)


def _sum(call: Call, sign: float) -> Traced:
    a, b = call["self"], call["other"]
    sign *= 1.0 if call["alpha"] is None else float(call["alpha"])
    if isinstance(b, int | float):
        value = call.to.value(a)
        return Shifted(value, sign * b)
    if isinstance(a, Tensor):
        a, b = (b, a) if sign == 1 else (None, None)
    if a is None:
        raise call.to.stop("a constant minus a value")
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
    """A quotient with a number."""
    divisor = call["other"]
    if not isinstance(divisor, int | float):
        raise call.to.stop("by a tensor")
    if divisor == 0:
        raise call.to.stop("by zero")
    if call["rounding_mode"] is not None:
        raise call.to.stop(f"rounded by {call['rounding_mode']}")
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
    axis = {"image": 1, "flat": 1, "last": 3}[value.layout]
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
    return Padded(call.image("self"), ((top, bottom), (left, right)), float(call["value"] or 0.0))
