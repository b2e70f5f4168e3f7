"""A network that no `Arch` can say, from its weights to a checked file of every form."""

import pytest

from mobilenas.errors import InputError
from mobilenas.export import DTYPES, random_weights
from mobilenas.graph import GraphBuilder, Network
from mobilenas.training import load_data
from mobilenas.verification.checked_export import ExportSettings, checked_export


def shuffled(num_classes: int = 10) -> Network:
    """A unit of ShuffleNetV2: half the channels go past the convolution, then both are shuffled."""
    builder = GraphBuilder((16, 16, 3))
    x = builder.conv2d(builder.inputs[0], 16, name="stem", kernel_size=3, activation="relu")
    x = builder.max_pool2d(x, name="shrink", kernel_size=3, stride=2, padding=((1, 1), (1, 1)))
    past = builder.slice(x, 8, name="past")
    through = builder.slice(x, 8, name="through", first_channel=8)
    through = builder.depthwise_conv2d(through, name="depthwise")
    through = builder.conv2d(through, 8, name="project", activation="relu")
    x = builder.channel_shuffle(builder.concat(past, through, name="both"), 2, name="shuffle")
    scores = builder.fully_connected(builder.mean(x, name="pool"), num_classes, name="scores")
    return Network(name="shuffled", op_graph=builder.finish(scores))


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", resolution=16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(digits, dtype):
    """In int8 little more than rounding is lost; classes of random weights are too near to each other to be kept."""
    network = shuffled()
    found = checked_export(network, random_weights(network.graph()), ExportSettings(dtype=dtype), data=digits)
    failed = {check.name for check in found.report.checks if not check.passed}
    if dtype == "int8":
        assert failed <= {"top-1 agreement", "accuracy"}
        assert found.quantization["error"] < 0.05
        assert {"shuffle", "through"} <= {layer["name"] for layer in found.quantization["layers"]}
    else:
        assert not failed


def test_data_with_another_number_of_classes(digits):
    network = shuffled(7)
    with pytest.raises(InputError, match="digits has 10 classes at 16 pixels, shuffled has 7 at 16"):
        checked_export(network, random_weights(network.graph()), ExportSettings(), data=digits)
