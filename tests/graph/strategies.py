"""Random op graphs, built as blocks build them: through GraphBuilder."""

from hypothesis import strategies as st

from mobilenas.graph import GraphBuilder, OpGraph, TensorRef

ACTIVATIONS = st.sampled_from(["none", "relu", "relu6", "hard_swish", "silu", "gelu", "sigmoid", "hard_sigmoid"])
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.sampled_from([(6, 5), (7, 7)])
HUGE = st.builds(lambda: 10**5000)
"""An int that cannot even be printed."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | HUGE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def graphs(draw: st.DrawFn, max_steps: int = 8) -> OpGraph:
    """A valid graph: branches, concatenation, squeeze-and-excitation, explicit padding, strides, dilation, groups."""
    shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8))
    builder = GraphBuilder(
        *draw(st.lists(shapes, min_size=1, max_size=2)),
        padding=draw(st.sampled_from(["same", "symmetric"])),
        bn_epsilon=draw(st.floats(1e-6, 0.1)),
    )
    values = list(builder.inputs)
    for step in range(draw(st.integers(1, max_steps))):
        x = values[draw(st.integers(0, len(values) - 1))]
        kind = draw(st.sampled_from(sorted(STEPS)))
        with builder.scope(f"steps.{step}", block=draw(st.booleans())):
            values.append(STEPS[kind](draw, builder, x, values))
    others = draw(st.lists(st.integers(0, len(values) - 2), max_size=2, unique=True))
    return builder.finish(values[-1], *(values[i] for i in others))


def _windows(draw: st.DrawFn, x: TensorRef, dilate: bool) -> dict:
    """Kernel, stride, dilation and padding that leave at least one window, each with something in it."""
    kernel, stride = draw(KERNELS), draw(PAIRS)
    dilation = draw(PAIRS) if dilate else (1, 1)
    style = draw(st.sampled_from(["default", "same", "valid", "explicit"]))
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    settings = {"kernel_size": kernel, "stride": stride} | ({"dilation": dilation} if dilate else {})
    if style == "same":
        return settings | {"padding": "same"}
    if style == "explicit":
        pads = tuple(
            draw(st.tuples(*2 * [st.integers(0, max(0, (k if dilate else min(k, size)) - 1))]))
            for k, size in zip(kernel, x.shape[:2], strict=True)
        )
    else:
        half = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        pads = tuple((n, n) if style == "default" else (0, 0) for n in half)
    fits = all(size + sum(pad) >= r for size, pad, r in zip(x.shape[:2], pads, reach, strict=True))
    if not fits:
        return settings | {"padding": "same"}
    if style == "default":
        return settings
    return settings | {"padding": "valid" if style == "valid" else pads}


def _conv(draw, builder, x, values):
    groups = draw(st.sampled_from([n for n in (1, 2, 3, 4) if x.channels % n == 0]))
    return builder.conv2d(
        x,
        groups * draw(st.integers(1, 4)),
        name="conv",
        groups=groups,
        activation=draw(ACTIVATIONS),
        batch_norm=draw(st.booleans()),
        bias=draw(st.booleans()),
        **_windows(draw, x, dilate=True),
    )


def _depthwise(draw, builder, x, values):
    return builder.depthwise_conv2d(
        x, name="depthwise", activation=draw(ACTIVATIONS), bias=draw(st.booleans()), **_windows(draw, x, dilate=True)
    )


def _pool(draw, builder, x, values):
    pool = builder.max_pool2d if draw(st.booleans()) else builder.avg_pool2d
    return pool(x, name="pool", **_windows(draw, x, dilate=False))


def _squeeze_excite(draw, builder, x, values):
    y = builder.mean(x, name="squeeze")
    y = builder.conv2d(y, draw(st.integers(1, 4)), name="reduce", activation="relu", batch_norm=False, bias=True)
    y = builder.conv2d(y, x.channels, name="expand", batch_norm=False, bias=True)
    return builder.mul(x, builder.activation(y, "sigmoid", name="gate"), name="scale")


def _concat(draw, builder, x, values):
    alike = [v for v in values if v.shape[:2] == x.shape[:2]]
    parts = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))
    return builder.concat(x, *parts, name="concat")


def _add(draw, builder, x, values):
    alike = [v for v in values if v.shape == x.shape]
    return builder.add(x, draw(st.sampled_from(alike)), name="add")


def _pad(draw, builder, x, values):
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return builder.pad(x, draw(st.tuples(sides, sides)), name="pad")


def _slice(draw, builder, x, values):
    kept = draw(st.integers(1, x.channels))
    return builder.slice(x, kept, name="slice", first_channel=draw(st.integers(0, x.channels - kept)))


def _channel_shuffle(draw, builder, x, values):
    groups = draw(st.sampled_from([n for n in range(1, x.channels + 1) if x.channels % n == 0]))
    return builder.channel_shuffle(x, groups, name="shuffle")


def _upsample(draw, builder, x, values):
    # columns alone, and then rows alone, are written as one upsample of both
    return builder.upsample(x, (draw(st.integers(2, 3)), draw(st.integers(1, 3))), name="upsample")


def _activation(draw, builder, x, values):
    return builder.activation(x, draw(ACTIVATIONS.filter(lambda name: name != "none")), name="act")


def _fully_connected(draw, builder, x, values):
    return builder.fully_connected(
        x, draw(st.integers(1, 6)), name="fc", activation=draw(ACTIVATIONS), bias=draw(st.booleans())
    )


STEPS = {
    "activation": _activation,
    "add": _add,
    "channel_shuffle": _channel_shuffle,
    "concat": _concat,
    "conv": _conv,
    "depthwise": _depthwise,
    "fully_connected": _fully_connected,
    "pad": _pad,
    "pool": _pool,
    "slice": _slice,
    "squeeze_excite": _squeeze_excite,
    "upsample": _upsample,
}
