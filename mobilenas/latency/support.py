"""support_ops: ops that interpolation leans on where networks are not made of a space's ops."""

import random
from collections.abc import Mapping
from typing import Any

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.interpolation import spread_out

BASES = ("efficientnet_b0", "mnasnet_a1", "mobilenet_v2_1.4", "mobilenet_v3_large", "mobilenet_v3_small")
VARIANTS = 3
"""Variants of each base."""
RESOLUTIONS, CLASSES = (96, 128, 160, 192, 224, 256, 288), (10, 100, 1000)
COUNTS: Mapping[OpKind, int] = {OpKind.CONV2D: 110, OpKind.DEPTHWISE_CONV2D: 50}
OTHERS = 14
"""Ops of every other kind."""
CHANNEL_FIELDS = ("out_channels", "expanded_channels", "se_channels")


def support_ops() -> list[OpSpec]:
    """About 300 ops with any number of channels, at many resolutions, with every activation: always the same.

    They are those of published networks whose channels are thinned out or widened at random, chosen so that they are
    far from each other. A space's own ops have round channels and one resolution, and say nothing about others.
    """
    rng = random.Random(0)
    graphs = [_variant(name, rng).graph() for name in BASES for _ in range(VARIANTS)]
    ops = list(dict.fromkeys(op for graph in graphs for op in graph.op_counts()))
    chosen: list[OpSpec] = []
    for kind in OpKind:
        own = [op for op in ops if op.kind is kind]
        if own:
            chosen += spread_out(own, COUNTS.get(kind, OTHERS))
    return chosen


def _variant(name: str, rng: random.Random) -> Arch:
    document: dict[str, Any] = models.get(name).to_dict()
    document |= {"resolution": rng.choice(RESOLUTIONS), "num_classes": rng.choice(CLASSES)}

    def scaled(part: Mapping[str, Any]) -> dict[str, Any]:
        fields = {key: max(4, round(part[key] * rng.uniform(0.4, 1.2))) for key in CHANNEL_FIELDS if key in part}
        return {**part, **fields}

    stages = []
    for stage in document["stages"]:
        first = scaled(stage[0])
        stages.append([first, *({**scaled(block), "out_channels": first["out_channels"]} for block in stage[1:])])
    document |= {"stem": scaled(document["stem"]), "stages": stages, "head": scaled(document["head"])}
    return Arch.from_dict(document)
