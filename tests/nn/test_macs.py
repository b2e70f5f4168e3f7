"""Multiply-adds against what fvcore counts of the module's own operators."""

import warnings

import pytest
import torch
from published_names import published_names

from mobilenas import models
from mobilenas.nn import GraphModule


@pytest.mark.parametrize("name", published_names())
def test_as_fvcore_counts(name: str) -> None:
    graph = models.get(name).graph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses what torch deprecates, and tracing warns of itself
        from fvcore.nn import FlopCountAnalysis

        counter = FlopCountAnalysis(GraphModule(graph).eval(), torch.zeros(1, 3, *graph.input_shapes[0][:2]))
        counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counted = counter.by_operator()
    assert counted["conv"] + counted["linear"] == graph.macs
