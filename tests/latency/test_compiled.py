"""Look-ups of genotypes equal predictions of their graphs."""

import numpy as np
import pytest

from mobilenas.latency import Calibration, CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.spaces.mnasnet import MnasNetSpace


@pytest.fixture(scope="module")
def space():
    return MnasNetSpace(resolution=64, num_classes=20)


def predictor_with(space, keep):
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 50))) for op in sorted(space.distinct_ops(), key=str) if keep(rng)}
    calibration = Calibration(1.03, 15.0, 5.0, 0.02, 10)
    return LatencyPredictor(LatencyTable(TableInfo(device="d", overhead_us=0.3), rows, calibration=calibration))


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_equal_to_predict_of_the_decoded_graph(space, share):
    predictor = predictor_with(space, lambda rng: rng.random() < share)
    compiled = CompiledLatency(predictor, space)
    genotypes = space.sample_batch(60, np.random.default_rng(1))
    graphs = [space.decode(genotype).graph() for genotype in genotypes]
    predictions = [predictor.predict(graph) for graph in graphs]
    np.testing.assert_allclose(compiled.latency_ms(genotypes), [p.ms for p in predictions], rtol=1e-9)
    np.testing.assert_allclose(compiled.upper_ms(genotypes), [p.high_ms for p in predictions], rtol=1e-9)
    assert compiled.interpolated == (share < 1)


def test_one_genotype_as_a_tuple(space):
    predictor = predictor_with(space, lambda rng: True)
    genotype = space.sample(np.random.default_rng(2))
    latency = CompiledLatency(predictor, space).latency_ms([genotype])
    assert latency.shape == (1,)
    assert latency[0] == pytest.approx(predictor.predict(space.decode(genotype).graph()).ms)
