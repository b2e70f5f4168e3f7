"""The published networks as test parameters; the large ones are marked exhaustive."""

from typing import Any

import pytest

from mobilenas import models

QUICK_MACS, QUICK_PARAMS = 100e6, 6e6
ALWAYS = (
    *("efficientnet_b0", "mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1", "mnasnet_b1"),
    *("mixnet_s", "mobilenet_v4_conv_small"),
)
"""Bigger ones that are tested with every change, so that each block is."""


def published_names() -> list[Any]:
    """Every name, one parameter each."""
    return [pytest.param(name, marks=() if _is_quick(name) else pytest.mark.exhaustive) for name in models.names()]


def _is_quick(name: str) -> bool:
    graph = models.get(name).graph()
    return name in ALWAYS or (graph.macs <= QUICK_MACS and graph.params <= QUICK_PARAMS)
