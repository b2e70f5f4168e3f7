"""Look-ups of genotypes equal predictions of their graphs."""

import numpy as np
import pytest
import torch

from mobilenas.errors import InputError
from mobilenas.latency import Calibration, CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.latency.footprint import Footprint
from mobilenas.spaces import CompiledCosts
from mobilenas.spaces.mnasnet import MnasNetSpace


@pytest.fixture(scope="module")
def space():
    return MnasNetSpace(resolution=64, num_classes=20)


def predictor_with(space, keep, footprint=Footprint.WHOLE):
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 50))) for op in sorted(space.distinct_ops(), key=str) if keep(rng)}
    calibration = Calibration(1.03, 15.0, 3.0, 0.02, 10, 1.2, 0.7, footprint)
    return LatencyPredictor(LatencyTable(TableInfo(device="d", overhead_us=0.3), rows, calibration=calibration))


@pytest.mark.parametrize("footprint", Footprint)
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_equal_to_predict_of_the_decoded_graph(space, share, footprint):
    predictor = predictor_with(space, lambda rng: rng.random() < share, footprint)
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


def test_a_prepared_graph_is_predicted_as_the_graph(space):
    predictor = predictor_with(space, lambda rng: rng.random() < 0.8)
    graph = space.decode(space.sample(np.random.default_rng(3))).graph()
    latency = predictor.predict(graph)
    total_us, half_us = predictor.predict_us(predictor.prepare(graph))
    assert (total_us / 1e3, (total_us + half_us) / 1e3) == (latency.ms, latency.high_ms)


@pytest.mark.parametrize("footprint", Footprint)
def test_expected_latency_of_certain_choices_is_the_latency(space, footprint):
    compiled = CompiledLatency(predictor_with(space, lambda rng: True, footprint), space)
    genotype = space.sample(np.random.default_rng(4))
    sizes = [len(choices) for choices in space.decisions.values()]
    certain = [
        torch.nn.functional.one_hot(torch.tensor(choice), size).double()
        for choice, size in zip(genotype, sizes, strict=True)
    ]
    assert compiled.expected_ms(certain).item() == pytest.approx(compiled.latency_ms([genotype])[0], rel=1e-9)


def test_expected_latency_is_the_mean_over_samples_and_has_gradients(space):
    predictor = predictor_with(space, lambda rng: True)
    linear = LatencyPredictor(
        LatencyTable(
            predictor.table.info, dict(predictor.table), calibration=Calibration(1.1, 0.0, 0.0, 0.02, 10, 0.9, 0.8)
        )
    )
    compiled = CompiledLatency(linear, space)
    rng = np.random.default_rng(5)
    logits = [torch.tensor(rng.normal(size=len(choices)), requires_grad=True) for choices in space.decisions.values()]
    probabilities = [torch.softmax(logit, 0) for logit in logits]
    expected = compiled.expected_ms(probabilities)
    drawn = np.stack([rng.choice(len(p), size=20_000, p=p.detach().numpy()) for p in probabilities], axis=1)
    assert expected.item() == pytest.approx(compiled.latency_ms(drawn).mean(), rel=0.01)
    expected.backward()
    step = 1e-4
    with torch.no_grad():
        logits[0][1] += step
        moved = compiled.expected_ms([torch.softmax(logit, 0) for logit in logits])
    assert (moved - expected).item() / step == pytest.approx(logits[0].grad[1].item(), rel=1e-2)


def with_choice(good, choice, dtype=np.int64):
    bad = np.repeat(good.astype(dtype), 3, axis=0)
    bad[1, 5] = choice
    return bad


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: with_choice(g, -1), "choice -1 of decision 5 is not accepted; give 0 to 1"),
        (lambda g: with_choice(g, -1, np.int8), "choice -1 of decision 5 is not accepted; give 0 to 1"),
        (lambda g: with_choice(g, -1, ">i8"), "choice -1 of decision 5 is not accepted"),
        (lambda g: with_choice(g, 2), "choice 2 of decision 5 is not accepted; give 0 to 1"),
        (lambda g: with_choice(g, 2**64 - 1, np.uint64), f"choice {2**64 - 1} of decision 5"),
        (lambda g: g.astype(float), "genotypes of type float64 are not accepted; give integers"),
        (lambda g: g > 0, "genotypes of type bool are not accepted; give integers"),
        (lambda g: g.astype(object), "genotypes of type object are not accepted"),
        (lambda g: g[:, :-1], r"shape \(1, 41\) are not accepted; give \(N, 42\)"),
        (lambda g: np.hstack([g, g]), r"shape \(1, 84\) are not accepted"),
        (lambda g: g[None], r"shape \(1, 1, 42\) are not accepted"),
        (lambda g: np.zeros((0, 3), int), r"shape \(0, 3\) are not accepted"),
        (lambda g: [[0, 1], [0]], "genotypes of several lengths are not accepted; give 42 integers each"),
    ],
)
def test_what_is_no_genotype_is_refused(space, damage, message):
    compiled = CompiledLatency(predictor_with(space, lambda rng: True), space)
    bad = damage(space.sample_batch(1, np.random.default_rng(5)))
    for look_up in (compiled.latency_ms, compiled.upper_ms, CompiledCosts(space).macs):
        with pytest.raises(InputError, match=message):
            look_up(bad)


def test_no_genotypes_have_no_latencies(space):
    compiled = CompiledLatency(predictor_with(space, lambda rng: True), space)
    for none in ([], np.zeros((0, 42), np.uint8)):
        assert compiled.latency_ms(none).shape == compiled.upper_ms(none).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_expected_latency_in_few_bits_is_computed_in_more(space, dtype):
    compiled = CompiledLatency(predictor_with(space, lambda rng: True), space)
    genotype = space.sample(np.random.default_rng(6))
    certain = [torch.arange(size) == choice for choice, size in zip(genotype, space.sizes, strict=True)]
    expected = compiled.expected_ms([each.to(dtype) for each in certain])
    assert expected.dtype == torch.float32
    assert expected.item() == pytest.approx(compiled.latency_ms([genotype])[0], rel=1e-5)


def test_probabilities_of_another_space_are_refused(space):
    compiled = CompiledLatency(predictor_with(space, lambda rng: True), space)
    even = [torch.ones(size) / size for size in space.sizes]
    with pytest.raises(InputError, match="41 tensors of probabilities are not accepted; give 42"):
        compiled.expected_ms(even[:-1])
    with pytest.raises(InputError, match=r"shape \(7,\) for decision 1 are not accepted; give \(2,\)"):
        compiled.expected_ms([even[0], torch.ones(7), *even[2:]])
