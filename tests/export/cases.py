"""Ops of every kind in every form that a graph can hold."""

from mobilenas.graph import OpKind, OpSpec

EXPLICIT = ((1, 2), (0, 1))
ACTIVATIONS = ("none", "relu", "relu6")


def windows(kind: OpKind, out_channels: int, kernel: tuple[int, int], **settings: object) -> list[OpSpec]:
    """A kind with a window in the paddings, strides and activations that every such kind has."""
    shape = (9, 8, 4)
    base = {"kernel_size": kernel, **settings}
    return [
        *(OpSpec(kind, (shape,), out_channels, padding=padding, **base) for padding in ("same", "valid", EXPLICIT)),
        *(
            OpSpec(kind, ((size, size, 4),), out_channels, padding=padding, stride=(2, 2), **base)
            for size in (8, 9)
            for padding in ("same", "valid", ((1, 1), (1, 1)))
        ),
        OpSpec(kind, (shape,), out_channels, stride=(2, 1), padding=((0, 1), (1, 1)), **base),
        *(OpSpec(kind, (shape,), out_channels, activation=activation, **base) for activation in ACTIVATIONS),
        OpSpec(kind, (shape,), out_channels, activation="relu6", padding=EXPLICIT, **base),
    ]


def convolutions(kind: OpKind, out_channels: int) -> list[OpSpec]:
    """What convolutions have and pools do not."""
    return [
        *windows(kind, out_channels, (3, 3)),
        *windows(kind, out_channels, (5, 2)),
        OpSpec(kind, ((9, 8, 4),), out_channels),
        OpSpec(kind, ((9, 8, 4),), out_channels, stride=(2, 2)),
        OpSpec(kind, ((1, 1, 4),), out_channels),
        *(
            OpSpec(kind, ((11, 12, 4),), out_channels, kernel_size=(3, 3), dilation=(2, 2), padding=padding)
            for padding in ("same", "valid", EXPLICIT)
        ),
        OpSpec(kind, ((11, 12, 4),), out_channels, kernel_size=(3, 3), dilation=(3, 1)),
        OpSpec(kind, ((11, 12, 4),), out_channels, kernel_size=(3, 3), dilation=(2, 2), stride=(2, 2)),
        OpSpec(kind, ((11, 12, 4),), out_channels, kernel_size=(3, 3), dilation=(2, 1), stride=(1, 2), padding="valid"),
    ]


def skipping(kind: OpKind) -> list[OpSpec]:
    """Pools whose stride is larger than the window on one axis or on both."""
    return [
        OpSpec(kind, ((9, 8, 4),), 4, kernel_size=kernel, stride=stride, padding=padding, activation="relu6")
        for kernel, stride in (((1, 2), (2, 1)), ((1, 2), (2, 2)), ((2, 2), (3, 3)), ((2, 1), (1, 3)))
        for padding in ("same", "valid", tuple((0, size - 1) for size in kernel))
    ]


def elementwise(kind: OpKind) -> list[OpSpec]:
    """Ops that keep the shape."""
    return [OpSpec(kind, (shape,), shape[2]) for shape in ((5, 7, 6), (1, 1, 10), (1, 4, 1))]


def two(kind: OpKind) -> list[OpSpec]:
    """Ops of two inputs, broadcast every way."""
    shapes = [
        ((4, 5, 6), (4, 5, 6)),
        ((4, 5, 6), (1, 1, 6)),
        ((1, 1, 6), (4, 5, 6)),
        ((4, 5, 6), (4, 5, 1)),
        ((4, 1, 6), (1, 5, 6)),
        ((4, 5, 6), (1, 1, 1)),
        ((1, 1, 6), (1, 1, 6)),
    ]
    plain = [OpSpec(kind, pair, 6) for pair in shapes]
    return plain + [OpSpec(kind, shapes[0], 6, activation=name) for name in ("relu", "relu6")]


CASES: dict[OpKind, list[OpSpec]] = {
    OpKind.CONV2D: [
        *convolutions(OpKind.CONV2D, 6),
        *windows(OpKind.CONV2D, 6, (3, 3), groups=2),
        OpSpec(OpKind.CONV2D, ((9, 8, 4),), 8, groups=4),
        OpSpec(OpKind.CONV2D, ((9, 8, 4),), 8, groups=2, kernel_size=(3, 3), dilation=(2, 2)),
    ],
    OpKind.DEPTHWISE_CONV2D: [
        *convolutions(OpKind.DEPTHWISE_CONV2D, 4),
        *windows(OpKind.DEPTHWISE_CONV2D, 8, (3, 3)),
        *windows(OpKind.DEPTHWISE_CONV2D, 4, (7, 4)),
        OpSpec(OpKind.DEPTHWISE_CONV2D, ((1, 1, 4),), 8, kernel_size=(7, 7)),
        OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 8, 4),), 12, kernel_size=(3, 3), dilation=(2, 2)),
        OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 8, 1),), 3, kernel_size=(3, 3)),
    ],
    OpKind.FULLY_CONNECTED: [
        OpSpec(OpKind.FULLY_CONNECTED, (shape,), 7, activation=activation)
        for shape in ((1, 1, 12), (3, 2, 5), (4, 1, 1))
        for activation in ACTIVATIONS
    ],
    OpKind.MAX_POOL2D: [
        *skipping(OpKind.MAX_POOL2D),
        *windows(OpKind.MAX_POOL2D, 4, (3, 3)),
        OpSpec(OpKind.MAX_POOL2D, ((8, 8, 4),), 4, kernel_size=(2, 2), stride=(2, 2)),
        OpSpec(OpKind.MAX_POOL2D, ((8, 8, 4),), 4, kernel_size=(1, 1), stride=(2, 2)),
        OpSpec(OpKind.MAX_POOL2D, ((8, 8, 4),), 4, kernel_size=(8, 8), padding="valid"),
    ],
    OpKind.AVG_POOL2D: [
        *skipping(OpKind.AVG_POOL2D),
        *windows(OpKind.AVG_POOL2D, 4, (3, 3)),
        OpSpec(OpKind.AVG_POOL2D, ((8, 8, 4),), 4, kernel_size=(2, 2), stride=(2, 2)),
        OpSpec(OpKind.AVG_POOL2D, ((8, 8, 4),), 4, kernel_size=(1, 1), stride=(2, 2)),
        OpSpec(OpKind.AVG_POOL2D, ((8, 8, 4),), 4, kernel_size=(8, 8), padding="valid"),
        OpSpec(OpKind.AVG_POOL2D, ((7, 7, 5),), 5, kernel_size=(3, 2), padding=((2, 2), (1, 1))),
    ],
    OpKind.MEAN: [OpSpec(OpKind.MEAN, (shape,), shape[2]) for shape in ((7, 7, 6), (1, 1, 6), (5, 1, 3))],
    OpKind.PAD: [
        OpSpec(OpKind.PAD, ((5, 4, 3),), 3, padding=padding) for padding in (((1, 2), (0, 3)), ((0, 0), (1, 1)))
    ],
    OpKind.ADD: two(OpKind.ADD),
    OpKind.MUL: two(OpKind.MUL),
    OpKind.CONCAT: [
        OpSpec(OpKind.CONCAT, shapes, sum(shape[2] for shape in shapes))
        for shapes in (
            ((4, 5, 3), (4, 5, 2)),
            ((1, 1, 3), (1, 1, 4)),
            tuple((4, 4, n) for n in (1, 2, 3, 4)),
            tuple((4, 4, n) for n in (1, 2, 3, 4, 5)),
            tuple((4, 4, n) for n in range(1, 10)),
            ((4, 4, 3),),
        )
    ],
    OpKind.SLICE: [OpSpec(OpKind.SLICE, ((4, 5, 8),), kept) for kept in (1, 5, 8)],
    OpKind.CHANNEL_SHUFFLE: [
        OpSpec(OpKind.CHANNEL_SHUFFLE, ((height, width, 12),), 12, groups=groups)
        for height, width in ((4, 5), (1, 1))
        for groups in (1, 2, 3, 12)
    ],
    OpKind.UPSAMPLE: [
        OpSpec(OpKind.UPSAMPLE, (shape,), 3, stride=stride)
        for shape in ((4, 5, 3), (1, 4, 3), (4, 1, 3), (1, 1, 3))
        for stride in ((2, 2), (1, 2), (2, 1), (3, 4), (8, 7))
    ],
    **{kind: elementwise(kind) for kind in (OpKind.RELU, OpKind.RELU6, OpKind.HARD_SWISH)},
    **{kind: elementwise(kind) for kind in (OpKind.HARD_SIGMOID, OpKind.SIGMOID, OpKind.SILU, OpKind.GELU)},
}
