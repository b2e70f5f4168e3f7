"""Published networks beside a search: held to the same bounds, by the same rule."""

import numpy as np
import pytest

from mobilenas import models
from mobilenas.evaluators.imagenet_surrogate import ImageNetSurrogate
from mobilenas.export import random_weights, write_tflite
from mobilenas.latency import CompiledLatency, LatencyPredictor, load_predictor
from mobilenas.objectives import Bounds, CostBound, LatencyBound
from mobilenas.run.comparison import fitting_networks
from mobilenas.spaces import CompiledCosts
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace

SPACE = MnasNetProxySpace()


@pytest.fixture(scope="module")
def predictor() -> LatencyPredictor:
    return load_predictor("pixel1")


@pytest.fixture(scope="module")
def compiled(predictor):
    return CompiledLatency(predictor, SPACE)


def test_all_whose_upper_end_meets_the_target(predictor, compiled):
    bounds = Bounds([LatencyBound("pixel1", 75.0, compiled)])
    found = fitting_networks(SPACE, predictor, bounds, ImageNetSurrogate())
    upper_ms = {name: predictor.predict(models.get(name).graph()).high_ms for name in models.names()}
    assert {each.name for each in found} == {name for name, ms in upper_ms.items() if ms <= 75.0}
    assert all(each.high_ms == upper_ms[each.name] for each in found)
    assert [each.top1 for each in found] == sorted((each.top1 for each in found), reverse=True)
    assert found[0].top1 == models.published(found[0].name).top1


def test_the_risk_is_the_candidates(predictor, compiled):
    fitting = [
        {each.name for each in fitting_networks(SPACE, predictor, Bounds([bound]), ImageNetSurrogate())}
        for bound in (LatencyBound("pixel1", 75.0, compiled, risk=risk) for risk in (0.01, 0.5))
    ]
    nominal = {name for name in models.names() if predictor.predict(models.get(name).graph()).ms <= 75.0}
    assert fitting[0] < fitting[1] == nominal


def test_the_other_bounds_count(predictor, compiled):
    costs = CompiledCosts(SPACE)
    limit = CostBound.params(costs, 3e6)
    found = fitting_networks(
        SPACE, predictor, Bounds([LatencyBound("pixel1", 75.0, compiled), limit]), ImageNetSurrogate()
    )
    assert found
    assert all(each.params <= 3e6 for each in found)


def test_a_bound_says_the_same_of_a_genotype_and_of_its_graph(compiled):
    costs = CompiledCosts(SPACE)
    latency = LatencyBound("pixel1", 75.0, compiled, risk=0.1)
    latency.correction = 1.2
    bounds = (latency, *(make(costs, 1.0) for make in (CostBound.macs, CostBound.params, CostBound.size)))
    for genotype in SPACE.sample_batch(5, np.random.default_rng(0)):
        graph = SPACE.decode(genotype.tolist()).graph()
        for bound in (*bounds, CostBound.memory(costs, 1.0)):
            assert bound.upper_of_graph(graph) == pytest.approx(float(bound.upper(genotype[None])[0])), bound.name
        assert len(write_tflite(graph, random_weights(graph))) <= 1e6 * bounds[-1].upper_of_graph(graph)


def test_for_other_classes_they_are_resized_and_nothing_published_stands(predictor):
    space = MnasNetSpace(resolution=32, num_classes=10)
    bounds = Bounds([LatencyBound("pixel1", 3.0, CompiledLatency(predictor, space))])
    found = fitting_networks(space, predictor, bounds, ImageNetSurrogate())
    assert found
    assert all(each.top1 is None and each.accuracy is None for each in found)
    small = next(each for each in found if each.name == "mobilenet_v3_small")
    assert small.macs == models.get("mobilenet_v3_small", resolution=32, num_classes=10).graph().macs


def test_what_the_evaluator_knows_has_its_accuracy(predictor, compiled, monkeypatch):
    """A network of the evaluator's space, published under some name."""
    genotype = (0,) * len(SPACE.sizes)
    arch = SPACE.decode(genotype)
    monkeypatch.setattr(models, "names", lambda: ["mnasnet_b1"])
    monkeypatch.setattr(models, "get", lambda name: arch)
    bounds = Bounds([LatencyBound("pixel1", 1000.0, compiled)])
    (found,) = fitting_networks(SPACE, predictor, bounds, ImageNetSurrogate())
    assert found.accuracy == ImageNetSurrogate()(arch, seed=0).accuracy
