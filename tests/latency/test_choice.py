"""Which ops are measured next: every kind first, then what the networks depend on."""

import numpy as np
import pytest

from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import LatencyPredictor, LatencyTable, Measurement, TableInfo, next_ops
from mobilenas.latency.choice import SEEDS


def conv(size, channels, out):
    return OpSpec(OpKind.CONV2D, ((size, size, channels),), out)


def truth_us(op):
    """Smooth in the op, so that neighbours say something about each other."""
    return 0.5 + op.macs / 2e4 * (1 + 0.3 * np.sin(np.log2(op.out_channels))) + op.activation_bytes() / 1e5


def networks(seed, count=12):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        sizes, widths = (56, 28, 14, 7), rng.choice([16, 24, 40, 64, 80, 112, 160, 192, 240, 320], size=8)
        ops = [conv(sizes[i // 2], int(widths[i]), int(widths[(i + 1) % 8])) for i in range(8)]
        made.append({op: int(rng.integers(1, 4)) for op in ops})
    return made


def test_each_kind_gets_its_first_ops_whatever_the_networks():
    adds = [OpSpec(OpKind.ADD, ((7, 7, c),) * 2, c) for c in range(8, 88, 2)]
    convs = [conv(14, c, 2 * c) for c in range(8, 88, 2)]
    chosen = next_ops([{convs[0]: 1}], [*convs, *adds], {}, 500)
    assert sum(op.kind is OpKind.ADD for op in chosen) == SEEDS
    assert sum(op.kind is OpKind.CONV2D for op in chosen) == SEEDS
    assert next_ops([{convs[0]: 1}], [*convs, *adds], {}, 5) == chosen[:5]


def test_a_kind_with_few_ops_is_measured_whole():
    ops = [conv(14, c, 2 * c) for c in range(8, 16)]
    assert set(next_ops([{ops[0]: 1}], ops, {}, 100)) == set(ops)


def test_only_ops_that_the_networks_have_are_worth_measuring():
    population = networks(0)
    used = list(dict.fromkeys(op for network in population for op in network))
    foreign = [conv(224, 3, c) for c in range(8, 40)]
    measured = {op: truth_us(op) for op in [*used[:SEEDS], *foreign[:4]]}
    chosen = next_ops(population, [*used, *foreign], measured, 8)
    assert len(chosen) == 8
    assert not set(chosen) & (set(foreign) | set(measured))


def test_nothing_left_to_choose():
    ops = [conv(14, c, 2 * c) for c in range(8, 40)]
    assert next_ops([{ops[0]: 1}], ops, {op: 1.0 for op in ops}, 10) == []


@pytest.mark.parametrize("seed", range(3))
def test_better_than_chance(seed):
    population = networks(seed, 40)
    pool = list(dict.fromkeys(op for network in population for op in network))
    budget = len(pool) // 4
    chosen: dict[OpSpec, float] = {}
    while len(chosen) < budget:
        chosen |= {op: truth_us(op) for op in next_ops(population, pool, chosen, budget - len(chosen))}
    assert len(chosen) == budget
    rng = np.random.default_rng(seed)
    drawn = [{pool[i]: truth_us(pool[i]) for i in rng.permutation(len(pool))[:budget]} for _ in range(5)]
    assert error(population, chosen) < np.mean([error(population, some) for some in drawn])


def error(population, measured):
    rows = {op: Measurement(us) for op, us in measured.items()}
    predictor = LatencyPredictor(LatencyTable(TableInfo(device="d"), rows))
    sums = [[n * predictor.op_latency(op).latency_us for op, n in network.items()] for network in population]
    true = [[n * truth_us(op) for op, n in network.items()] for network in population]
    return np.sqrt(np.mean([(sum(s) / sum(t) - 1) ** 2 for s, t in zip(sums, true, strict=True)]))
