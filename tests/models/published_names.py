"""The published networks as test parameters; the large ones are marked slow or exhaustive."""

from typing import Any

import pytest

from mobilenas import models

QUICK_MACS, QUICK_PARAMS, SLOW_MACS = 100e6, 6e6, 2e9
ALWAYS = (
    *("efficientnet_b0", "mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1", "mnasnet_b1"),
    *("mixnet_s", "mobilenet_v4_conv_small"),
)
"""Bigger ones that are tested with every change, so that each block is."""


def published_names(*, slow: bool = False) -> list[Any]:
    """Every name, one parameter each; with `slow`, CI tests those of up to two billion multiply-adds too."""
    return [pytest.param(name, marks=_marks(name, slow)) for name in models.names()]


def _marks(name: str, slow: bool) -> tuple[pytest.MarkDecorator, ...]:
    if _is_quick(name):
        return ()
    return (pytest.mark.slow if slow and models.get(name).graph().macs <= SLOW_MACS else pytest.mark.exhaustive,)


def _is_quick(name: str) -> bool:
    graph = models.get(name).graph()
    return name in ALWAYS or (graph.macs <= QUICK_MACS and graph.params <= QUICK_PARAMS)
