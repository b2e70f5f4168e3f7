"""Which networks a table is calibrated on."""

from collections.abc import Mapping

import numpy as np

from mobilenas import models
from mobilenas.graph import OpGraph
from mobilenas.latency.farthest import farthest_points
from mobilenas.spaces import SearchSpace
from mobilenas.spaces.mnasnet import MnasNetSpace

CALIBRATION_NETWORKS = 10
"""Samples of a space; the published networks come on top."""
CANDIDATES = 200
DEFAULT_RESOLUTIONS = (160, 224)
PUBLISHED = (
    "efficientnet_b0",
    "mnasnet_a1",
    "mnasnet_b1",
    "mobilenet_v2",
    "mobilenet_v2_0.35",
    "mobilenet_v2_0.5",
    "mobilenet_v2_0.75",
    "mobilenet_v2_1.4",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b1",
    "mobilenet_v4_conv_medium",
)
"""Published networks that tables are calibrated on; the last two for their many weights."""


def calibration_networks(space: SearchSpace, count: int = CALIBRATION_NETWORKS) -> dict[str, OpGraph]:
    """Networks of a space that span its range of work and of weight bytes.

    Args:
        space: The space.
        count: How many.

    Returns:
        Graphs by a name that says which sample of the space each is (seed 0).
    """
    rng = np.random.default_rng(0)
    archs = [space.decode(space.sample(rng)) for _ in range(CANDIDATES)]
    points = np.log([[arch.graph().macs, arch.graph().weight_bytes()] for arch in archs])
    chosen = farthest_points((points - points.mean(0)) / np.maximum(points.std(0), 1e-9), count)
    return {f"{label(space)}{i}": archs[i].graph() for i in chosen}


def networks_for(space: SearchSpace | None) -> Mapping[str, OpGraph]:
    """What a table is calibrated on: samples of the space, and the published networks at its resolution or half of it.

    Samples alone lean to what the space is full of (regular convolutions, relu); what others write looks like the
    published networks. At half the resolution there is little work for much weight, which tells the two apart.
    """
    spaces = [space] if space is not None else [MnasNetSpace(resolution=size) for size in DEFAULT_RESOLUTIONS]
    found: dict[str, OpGraph] = {}
    for each in spaces:
        found |= calibration_networks(each, CALIBRATION_NETWORKS // len(spaces))
    for i, name in enumerate(PUBLISHED):
        resolution = spaces[-1].resolution
        if i % 2:
            resolution = max(32, 32 * round(resolution / 64))
        found[f"{name}@{resolution}"] = models.get(name, resolution=resolution).graph()
    return found


def few_networks(space: SearchSpace, count: int) -> dict[str, OpGraph]:
    """Half samples of a space, half published networks, spread over work and weights."""
    published = {name: graph for name, graph in networks_for(space).items() if not name.startswith(label(space))}
    points = np.log([[graph.macs, graph.weight_bytes()] for graph in published.values()])
    chosen = farthest_points((points - points.mean(0)) / points.std(0), count // 2)
    names = list(published)
    return {
        **calibration_networks(space, count - len(chosen)),
        **{names[i]: published[names[i]] for i in chosen},
    }


def label(space: SearchSpace) -> str:
    """What names of a space's networks begin with: the number of classes does not matter to a calibration."""
    return f"{space.name}@{space.resolution}#"
