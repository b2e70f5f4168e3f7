"""Every op kind by hand-computed values."""

import pytest
import torch
from torch import Tensor

from mobilenas.graph import WEIGHTED, BatchNorm, OpGraph, OpKind, OpNode, OpSpec, single_op
from mobilenas.nn import GraphModule

COUNT = torch.arange(1.0, 17).reshape(1, 1, 4, 4)
"""1 .. 16, row by row."""
SIGNED = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0, 8.0]).reshape(1, 6, 1, 1)


def run(spec: OpSpec, *inputs: Tensor, weight: Tensor | float = 1.0, bias: Tensor | float = 0.0) -> Tensor:
    module = GraphModule(single_op(spec)).eval()
    if spec.kind in WEIGHTED:
        with torch.no_grad():
            module.op.weight.copy_(torch.as_tensor(weight))
            module.op.bias.copy_(torch.as_tensor(bias))
    with torch.no_grad():
        return module(*inputs)


def spec_of(kind: OpKind, *inputs: Tensor, out_channels: int = 1, **settings) -> OpSpec:
    shapes = tuple((x.shape[2], x.shape[3], x.shape[1]) for x in inputs)
    return OpSpec(kind, shapes, out_channels, **settings)


def pixels(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).reshape(1, 1, len(rows), len(rows[0]))


def scores(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float32)


TWO = torch.cat([COUNT, 10 * COUNT], 1)
CASES = {
    # windows at rows and columns (0, 2): SAME puts the one row of padding below and to the right
    OpKind.CONV2D: (
        spec_of(OpKind.CONV2D, COUNT, kernel_size=(3, 3), stride=(2, 2)),
        [COUNT],
        pixels([54.0, 45.0], [72.0, 54.0]),
    ),
    OpKind.DEPTHWISE_CONV2D: (
        spec_of(OpKind.DEPTHWISE_CONV2D, TWO, out_channels=2, kernel_size=(2, 2), stride=(2, 2), padding="valid"),
        [TWO],
        torch.cat([pixels([14.0, 22.0], [46.0, 54.0]), pixels([140.0, 220.0], [460.0, 540.0])], 1),
    ),
    OpKind.FULLY_CONNECTED: (spec_of(OpKind.FULLY_CONNECTED, COUNT), [COUNT], scores(136.0)),
    OpKind.MAX_POOL2D: (
        spec_of(OpKind.MAX_POOL2D, -COUNT, kernel_size=(3, 3), stride=(2, 2)),
        [-COUNT],
        pixels([-1.0, -3.0], [-9.0, -11.0]),
    ),
    OpKind.AVG_POOL2D: (
        spec_of(OpKind.AVG_POOL2D, COUNT, kernel_size=(3, 3), stride=(2, 2)),
        [COUNT],
        pixels([6.0, 7.5], [12.0, 13.5]),
    ),
    OpKind.MEAN: (spec_of(OpKind.MEAN, COUNT), [COUNT], scores(8.5)),
    OpKind.PAD: (
        spec_of(OpKind.PAD, pixels([5.0]), padding=((1, 0), (0, 2))),
        [pixels([5.0])],
        pixels([0.0, 0.0, 0.0], [5.0, 0.0, 0.0]),
    ),
    OpKind.ADD: (
        spec_of(OpKind.ADD, pixels([1.0, -2.0]), pixels([3.0])),
        [pixels([1.0, -2.0]), pixels([3.0])],
        pixels([4.0, 1.0]),
    ),
    OpKind.MUL: (
        spec_of(OpKind.MUL, pixels([1.0, -2.0]), pixels([3.0]), activation="relu"),
        [pixels([1.0, -2.0]), pixels([3.0])],
        pixels([3.0, 0.0]),
    ),
    OpKind.CONCAT: (spec_of(OpKind.CONCAT, COUNT, COUNT, out_channels=2), [COUNT, 10 * COUNT], TWO),
    OpKind.SLICE: (spec_of(OpKind.SLICE, TWO, out_channels=1), [TWO], COUNT),
    OpKind.CHANNEL_SHUFFLE: (
        spec_of(OpKind.CHANNEL_SHUFFLE, SIGNED, out_channels=6, groups=2),
        [SIGNED],
        scores(-4.0, 1.0, -1.0, 4.0, 0.0, 8.0),
    ),
    OpKind.RELU: (spec_of(OpKind.RELU, SIGNED, out_channels=6), [SIGNED], scores(0, 0, 0, 1, 4, 8)),
    OpKind.RELU6: (spec_of(OpKind.RELU6, SIGNED, out_channels=6), [SIGNED], scores(0, 0, 0, 1, 4, 6)),
    OpKind.HARD_SWISH: (
        spec_of(OpKind.HARD_SWISH, SIGNED, out_channels=6),
        [SIGNED],
        scores(0, -1 / 3, 0, 2 / 3, 4, 8),
    ),
    OpKind.UPSAMPLE: (
        spec_of(OpKind.UPSAMPLE, pixels([1.0, 2.0]), stride=(2, 3)),
        [pixels([1.0, 2.0])],
        pixels([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]),
    ),
    # x * Phi(x), Phi from a table of the normal distribution
    OpKind.GELU: (
        spec_of(OpKind.GELU, SIGNED, out_channels=6),
        [SIGNED],
        scores(-0.0001267, -0.1586553, 0, 0.8413447, 3.9998733, 8),
    ),
    OpKind.HARD_SIGMOID: (
        spec_of(OpKind.HARD_SIGMOID, SIGNED, out_channels=6),
        [SIGNED],
        scores(0, 1 / 3, 0.5, 2 / 3, 1, 1),
    ),
    OpKind.SIGMOID: (
        spec_of(OpKind.SIGMOID, SIGNED, out_channels=6),
        [SIGNED],
        scores(0.0179862, 0.2689414, 0.5, 0.7310586, 0.9820138, 0.9996646),
    ),
    OpKind.SILU: (
        spec_of(OpKind.SILU, SIGNED, out_channels=6),
        [SIGNED],
        scores(-0.0719448, -0.2689414, 0.0, 0.7310586, 3.9280552, 7.9973172),
    ),
}


@pytest.mark.parametrize("kind", OpKind)
def test_by_hand(kind: OpKind) -> None:
    spec, inputs, expected = CASES[kind]
    torch.testing.assert_close(run(spec, *inputs), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", OpKind)
def test_inputs_stay_as_they_were(kind: OpKind) -> None:
    spec, inputs, _ = CASES[kind]
    before = [x.clone() for x in inputs]
    run(spec, *inputs)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


def test_weights_lie_as_torch_has_them() -> None:
    # output 0 reads the first channel at the right, output 1 the second at the left
    weight = torch.zeros(2, 2, 1, 2)
    weight[0, 0, 0, 1] = 1
    weight[1, 1, 0, 0] = 1
    spec = spec_of(OpKind.CONV2D, TWO, out_channels=2, kernel_size=(1, 2), padding="valid")
    expected = torch.cat([COUNT[..., 1:], 10 * COUNT[..., :3]], 1) + torch.tensor([0.5, 0.25]).reshape(2, 1, 1)
    torch.testing.assert_close(run(spec, TWO, weight=weight, bias=torch.tensor([0.5, 0.25])), expected)


def test_groups_keep_apart() -> None:
    spec = spec_of(OpKind.CONV2D, TWO, out_channels=4, groups=2)
    expected = torch.cat([COUNT, COUNT, 10 * COUNT, 10 * COUNT], 1)
    torch.testing.assert_close(run(spec, TWO), expected)


def test_depth_multiplier_of_two() -> None:
    spec = spec_of(OpKind.DEPTHWISE_CONV2D, TWO, out_channels=4)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    expected = torch.cat([COUNT, 2 * COUNT, 30 * COUNT, 40 * COUNT], 1)
    torch.testing.assert_close(run(spec, TWO, weight=weight), expected)


def test_dilation_and_same_padding() -> None:
    # reach 3, one pixel of padding on either side: x[i-1] + x[i+1]
    row = pixels([1.0, 2.0, 3.0, 4.0])
    spec = spec_of(OpKind.CONV2D, row, kernel_size=(1, 2), dilation=(1, 2))
    torch.testing.assert_close(run(spec, row), pixels([2.0, 4.0, 6.0, 3.0]))


def test_symmetric_padding_differs_from_same() -> None:
    spec = spec_of(OpKind.CONV2D, COUNT, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
    assert spec.padding == ((1, 1), (1, 1))
    torch.testing.assert_close(run(spec, COUNT), pixels([14.0, 30.0], [57.0, 99.0]))


def test_fully_connected_reads_channels_first() -> None:
    image = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    spec = spec_of(OpKind.FULLY_CONNECTED, image, activation="relu6")
    weight = torch.tensor([[1.0, 0.1, 0.01, 0.001]])
    torch.testing.assert_close(run(spec, image, weight=weight), scores(1.234))
    assert run(spec, image, weight=weight * 100).item() == 6
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(run(spec, last, weight=weight), scores(1.234))


@pytest.mark.parametrize("padding", [((2, 2), (0, 0)), ((2, 1), (0, 0)), ((1, 2), (0, 0))])
def test_pools_take_no_part_of_their_padding(padding) -> None:
    column = torch.tensor([-2.0, -4.0]).reshape(1, 1, 2, 1)
    (top, bottom), _ = padding
    rows = [None] * top + [-2.0, -4.0] + [None] * bottom
    windows = [[x for x in rows[i : i + 3] if x is not None] for i in range(len(rows) - 2)]
    settings = {"kernel_size": (3, 1), "padding": padding}
    largest = run(spec_of(OpKind.MAX_POOL2D, column, **settings), column).flatten().tolist()
    mean = run(spec_of(OpKind.AVG_POOL2D, column, **settings), column).flatten().tolist()
    assert largest == [max(window) for window in windows]
    assert mean == pytest.approx([sum(window) / len(window) for window in windows])


def test_activation_comes_after_batch_norm() -> None:
    # (x - 10) / sqrt(3.999 + 0.001) = (x - 10) / 2, then relu6
    spec = spec_of(OpKind.CONV2D, COUNT, activation="relu6")
    node = OpNode("op", spec, (0,), batch_norm=BatchNorm(1e-3))
    module = GraphModule(OpGraph((spec.in_shapes[0],), (node,), (1,))).eval()
    with torch.no_grad():
        module.op.weight.fill_(2.0)
        module.op.batch_norm.running_mean.fill_(10.0)
        module.op.batch_norm.running_var.fill_(3.999)
        found = module(COUNT)
    torch.testing.assert_close(found, ((2 * COUNT - 10) / 2).clamp(0, 6))
    assert found.min() == 0
    assert found.max() == 6
