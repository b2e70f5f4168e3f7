"""Amounts of work, counted by hand."""

import pytest

from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.work import KINDS_OF_WORK, total_work, work

MB = 4e-6
"""Megabytes of one float32."""
CONV = OpSpec(OpKind.CONV2D, ((10, 10, 8),), 16)


def amounts(op, dtype="float32"):
    """The kinds of work that an op has any of, without the op itself."""
    found = dict(zip(KINDS_OF_WORK, work(op, dtype).tolist(), strict=True))
    assert found.pop("ops") == 1
    return {name: amount for name, amount in found.items() if amount}


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (
            CONV,
            {
                "pointwise MMACs": 100 * 8 * 16 / 1e6,
                "convolution MB": (800 + 1600) * MB,
                "convolution weight MB": (8 * 16 + 16) * MB,
            },
        ),
        (
            OpSpec(OpKind.CONV2D, ((10, 10, 3),), 8, (3, 3), (2, 2)),
            {
                "convolution MMACs": 25 * 27 * 8 / 1e6,
                "convolution MB": (300 + 200) * MB,
                "convolution weight MB": (27 * 8 + 8) * MB,
            },
        ),
        (OpSpec(OpKind.CONV2D, ((1, 1, 8),), 4), {"vector weight MB": (32 + 4) * MB}),
        (OpSpec(OpKind.FULLY_CONNECTED, ((1, 1, 8),), 4), {"vector weight MB": (32 + 4) * MB}),
        (
            OpSpec(OpKind.DEPTHWISE_CONV2D, ((10, 10, 8),), 8, (3, 3)),
            {"depthwise MMACs": 7200 / 1e6, "depthwise MB": 1600 * MB},
        ),
        (
            OpSpec(OpKind.DEPTHWISE_CONV2D, ((10, 10, 8),), 8, (5, 5)),
            {"wide depthwise MMACs": 20000 / 1e6, "depthwise MB": 1600 * MB},
        ),
        (OpSpec(OpKind.ADD, ((10, 10, 8),) * 2, 8), {"elementwise MB": 2400 * MB}),
        (OpSpec(OpKind.MUL, ((10, 10, 8),) * 2, 8), {"elementwise MB": 2400 * MB}),
        (OpSpec(OpKind.MUL, ((10, 10, 8), (1, 1, 8)), 8), {"scalar M elements": 800 / 1e6}),
        (OpSpec(OpKind.MEAN, ((10, 10, 8),), 8), {"scalar M elements": 800 / 1e6}),
        (OpSpec(OpKind.HARD_SWISH, ((10, 10, 8),), 8), {"activation M elements": 800 / 1e6}),
        (OpSpec(OpKind.RELU, ((10, 10, 8),), 8), {"elementwise MB": 1600 * MB}),
        (
            OpSpec(OpKind.HARD_SWISH, ((500, 500, 1),), 1),
            {"activation M elements": 0.25, "MB beyond the cache": 500_000 * MB - 1},
        ),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, OpSpec) else "",
)
def test_by_hand(op, expected):
    assert amounts(op) == pytest.approx(expected)


def test_int8_moves_a_quarter():
    assert amounts(CONV, "int8")["convolution MB"] == pytest.approx(amounts(CONV)["convolution MB"] / 4)


@pytest.mark.parametrize("kind", OpKind)
def test_every_kind_of_op_has_work_beside_its_start(kind):
    shape = (10, 10, 8)
    settings = {"in_shapes": (shape,), "out_channels": 8}
    if kind in (OpKind.ADD, OpKind.MUL):
        settings["in_shapes"] = (shape, shape)
    if kind is OpKind.CONCAT:
        settings = {"in_shapes": (shape, shape), "out_channels": 16}
    if kind is OpKind.PAD:
        settings["padding"] = ((1, 1), (1, 1))
    if kind is OpKind.UPSAMPLE:
        settings["stride"] = (2, 2)
    assert amounts(OpSpec(kind, **settings))


def test_work_adds_up():
    other = OpSpec(OpKind.ADD, ((10, 10, 8),) * 2, 8)
    assert total_work({CONV: 2, other: 3}) == pytest.approx(2 * work(CONV) + 3 * work(other))
    assert not total_work({}).any()
