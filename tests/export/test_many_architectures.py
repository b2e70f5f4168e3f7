"""Random networks of every space and odd ones: every dtype is one delegate and computes what torch does.

$MOBILENAS_ARCHITECTURES says how many of each space, a quarter as many odd ones. 200 take less than ten minutes on two
idle cores: MOBILENAS_ARCHITECTURES=200 pytest -n 2 -m slow tests/export/test_many_architectures.py
"""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from mobilenas.arch import Arch
from mobilenas.export import DTYPES, random_weights, write_tflite
from mobilenas.nn import observed_ranges
from mobilenas.runners import LiteRTProcess
from mobilenas.spaces import SPACES, open_space
from mobilenas.verification import verify_file

COUNT = int(os.environ.get("MOBILENAS_ARCHITECTURES", "8"))
ODD_COUNT = max(2, COUNT // 4)
PARTS = 4
"""Of each space, so that several processes can share them."""
RESOLUTIONS = (32, 40, 64)
ACTIVATIONS = ("relu", "relu6", "hard_swish", "silu")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def odd_archs(count: int) -> Iterator[Arch]:
    """Networks of odd channels, 10 to 1000 classes and 96 to 320 pixels."""
    rng = np.random.default_rng(0)

    def channels(low: int, high: int) -> int:
        return 2 * int(rng.integers(low, high)) + 1

    def block(kind: str) -> dict[str, object]:
        found = {
            "type": kind,
            "out_channels": channels(3, 24),
            "kernel_size": int(rng.choice([3, 5])),
            "stride": int(rng.choice([1, 2])),
            "activation": str(rng.choice(ACTIVATIONS)),
        }
        if kind == "mbconv":
            found["expanded_channels"] = channels(8, 60)
        if kind in ("mbconv", "depthwise_separable") and rng.random() < 0.5:
            found["se_channels"] = channels(1, 8)
            found["se_gate"] = str(rng.choice(["sigmoid", "hard_sigmoid"]))
        return found

    for number in range(count):
        stages = [
            [
                block(str(rng.choice(["mbconv", "depthwise_separable", "conv_bn_act"])))
                for _ in range(rng.integers(1, 3))
            ]
            for _ in range(rng.integers(1, 4))
        ]
        head = {
            "type": "conv_pool_linear",
            "out_channels": channels(16, 200),
            "activation": str(rng.choice(ACTIVATIONS)),
        }
        if rng.random() < 0.5:
            head = {**head, "type": "pool_conv_linear", "expanded_channels": channels(16, 100)}
        yield Arch.from_dict(
            {
                "name": f"odd-{number}",
                "resolution": int(rng.integers(96, 321)),
                "num_classes": int(rng.integers(10, 1001)),
                "padding": str(rng.choice(["same", "symmetric"])),
                "stem": {**block("conv_bn_act"), "stride": 2},
                "stages": stages,
                "head": head,
            }
        )


def broken_promises(arch: Arch, seed: int, process: LiteRTProcess, exported_seed: int | None = None) -> list[str]:
    """What the gate finds wrong with a network in each dtype, and what it did not look at."""
    graph = arch.graph()
    weights = random_weights(graph, seed)
    exported = weights if exported_seed is None else random_weights(graph, exported_seed)
    images = np.random.default_rng(seed).standard_normal((2, *graph.input_shapes[0])).astype(np.float32)
    found = []
    for dtype in DTYPES:
        ranges = observed_ranges(graph, exported, images) if dtype == "int8" else None
        model = write_tflite(graph, exported, dtype=dtype, ranges=ranges)
        report = verify_file(model, graph, weights, dtype=dtype, images=images, runtime=process)
        where = f"{arch.name} (seed {seed}) in {dtype}"
        found += [f"{where}: {c.name}: {c.found}; promised: {c.wanted}" for c in report.checks if not c.passed]
        missing = {"operators", "delegate", "parity"} - {c.name for c in report.checks}
        found += [f"{where}: {name} was not checked" for name in sorted(missing)]
    return found


def test_a_network_with_other_weights_breaks_the_promise_in_every_dtype():
    arch = next(odd_archs(1))
    with LiteRTProcess() as process:
        assert broken_promises(arch, 0, process) == []
        found = broken_promises(arch, 0, process, exported_seed=1)
    assert [dtype for dtype in DTYPES if any(f" in {dtype}: parity" in text for text in found)] == list(DTYPES)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", sorted(SPACES))
def test_random_architectures_of_a_space(name, part):
    spaces = [open_space(name, resolution=resolution, num_classes=10) for resolution in RESOLUTIONS]
    with LiteRTProcess() as process:
        for seed in range(part, COUNT, PARTS):
            space = spaces[seed % len(spaces)]
            arch = space.decode(space.sample(np.random.default_rng(seed)))
            assert broken_promises(arch, seed, process) == []


@pytest.mark.parametrize("part", range(PARTS))
def test_odd_architectures(part):
    with LiteRTProcess() as process:
        for seed, arch in enumerate(odd_archs(ODD_COUNT)):
            if seed % PARTS == part:
                assert broken_promises(arch, seed, process) == []
