import math
from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import pytest

from mobilenas.arch import Arch
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.errors import FieldError, TargetError
from mobilenas.graph import OpSpec
from mobilenas.latency import CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.latency.calibration import Calibration
from mobilenas.objectives import COST_BOUNDS, Bounds, CostBound, LatencyBound
from mobilenas.spaces import SPACES, Choice, CompiledCosts, Emitted, Factor, Genotypes, SearchSpace


class WidthSpace(SearchSpace):
    """8 pixels, a 3x3 stem of 8, 16 or 32 channels at stride 2, a head of 8, two classes."""

    name = "width"

    @property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        return {"width": (8, 16, 32)}

    def decode(self, genotype: Sequence[int]) -> Arch:
        width = int(self.choices(genotype)["width"])
        stem = ConvBnAct(out_channels=width, stride=2)
        return Arch(stem=stem, stages=(), head=ConvPoolLinear(out_channels=8), resolution=8, num_classes=2)

    def factors(self) -> tuple[Factor, ...]:
        return (Factor((0,), lambda choices: Emitted.of(self.decode(choices).graph())),)


SPACE, COSTS = WidthSpace(), CompiledCosts(WidthSpace())
EVERY = np.array([[0], [1], [2]], np.uint8)


def latency(us_per_op: float, error: float) -> CompiledLatency:
    """A device on which an op takes `us_per_op` for every 8 channels, with a calibration error."""

    def row(op: OpSpec) -> Measurement:
        return Measurement(us_per_op * op.out_channels / 8)

    table = LatencyTable(
        TableInfo(device="toy"), {op: row(op) for op in SPACE.distinct_ops()}, calibration=Calibration(error=error)
    )
    return CompiledLatency(LatencyPredictor(table), SPACE)


def test_costs_by_hand() -> None:
    # stem: 4x4 outputs, 27 weights a channel; head: 8 * width at 4x4, then 8 * 2 and two biases
    widths = np.array([8, 16, 32])
    macs = 16 * 27 * widths + 16 * 8 * widths + 16
    params = 27 * widths + 2 * widths + 8 * widths + 16 + 18
    assert CostBound.macs(COSTS, 1e6).nominal(EVERY).tolist() == macs.tolist()
    assert CostBound.params(COSTS, 1e6).nominal(EVERY).tolist() == params.tolist()
    # the stem's input and output, float32: 8 * 8 * 3 and 4 * 4 * width, or its output and the head's 4 * 4 * 8
    peak = 4 * np.maximum(192 + 16 * widths, 16 * widths + 128)
    assert CostBound.memory(COSTS, 1).nominal(EVERY) == pytest.approx(peak / 1e6)
    # folded weights and biases, 260 bytes for each of four ops, 4000 for the file
    size = 4 * (28 * widths + 8 * widths + 8 + 18) + 4 * 260 + 4000
    assert CostBound.size(COSTS, 1).nominal(EVERY) == pytest.approx(size / 1e6)


def test_several_bounds_hold_at_once() -> None:
    by_macs, by_params = CostBound.macs(COSTS, 9_000), CostBound.params(COSTS, 1_000)
    assert Bounds([by_macs]).is_feasible(EVERY).tolist() == [True, True, False]
    assert Bounds([by_params]).is_feasible(EVERY).tolist() == [True, True, False]
    small = CostBound.memory(COSTS, 0.0015)
    assert Bounds([by_macs, by_params, small]).is_feasible(EVERY).tolist() == [True, False, False]
    # 560 * 16 + 16 = 8976 MACs, 37 * 16 + 34 = 626 parameters, 1792 bytes
    excess = Bounds([by_macs, by_params, small]).excess(EVERY)
    assert excess[1] == pytest.approx(max(8976 / 9000, 626 / 1000, 1792 / 1500))


def test_the_interval_takes_part_by_the_risk() -> None:
    # four ops of 8, 8, 8 and 2 channels for the narrowest: 3.25 * 100 us
    # error 10 % (1.645 of them a side), of which 1.5 between sessions
    compiled = latency(100.0, error=math.sqrt(0.1**2 - 0.015**2))
    nominal_ms = np.array([0.325, 0.425, 0.625])
    bound = LatencyBound("toy", 0.45, compiled)
    assert compiled.latency_ms(EVERY) == pytest.approx(nominal_ms)
    assert bound.nominal(EVERY) == pytest.approx(nominal_ms)
    assert bound.upper(EVERY) == pytest.approx(compiled.upper_ms(EVERY))
    assert bound.upper(EVERY) == pytest.approx(nominal_ms * 1.1645, rel=1e-4)
    assert Bounds([bound]).is_feasible(EVERY).tolist() == [True, False, False]
    even = LatencyBound("toy", 0.45, compiled, risk=0.5)
    assert even.upper(EVERY) == pytest.approx(nominal_ms)
    assert Bounds([even]).is_feasible(EVERY).tolist() == [True, True, False]
    # one standard deviation
    assert LatencyBound("toy", 0.45, compiled, risk=0.1586553).upper(EVERY) == pytest.approx(nominal_ms * 1.1, rel=1e-4)


@pytest.mark.parametrize("risk", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("correction", [1.0, 1.2])
def test_what_meets_the_bound_is_predicted_to_meet_the_target(risk: float, correction: float) -> None:
    # so that the exponent of soft and hard rewards above the target has nothing to act on
    bound = LatencyBound("toy", 0.45, latency(100.0, error=0.1), risk=risk)
    bound.correction = correction
    assert (bound.upper(EVERY) >= bound.nominal(EVERY)).all()


def test_a_correction_tightens_the_bound() -> None:
    bound = LatencyBound("toy", 0.45, latency(100.0, error=0.01))
    assert Bounds([bound]).is_feasible(EVERY).tolist() == [True, True, False]
    bound.correction = 1.2
    assert bound.upper(EVERY) == pytest.approx(1.2 * bound.nominal(EVERY))
    assert Bounds([bound]).is_feasible(EVERY).tolist() == [True, False, False]


def test_several_devices() -> None:
    fast = LatencyBound("fast", 0.1, latency(10.0, error=0.01), option="--also fast=")
    slow = LatencyBound("slow", 0.45, latency(100.0, error=0.01))
    bounds = Bounds([slow, fast])
    assert bounds.is_feasible(EVERY).tolist() == [True, True, False]
    samples = {bounds.feasible_set(SPACE).sample(np.random.default_rng(seed)) for seed in range(20)}
    assert samples == {(0,), (1,)}


def test_what_cannot_be_met_names_the_nearest() -> None:
    bounds = Bounds([LatencyBound("toy", 0.2, latency(100.0, error=0.01)), CostBound.params(COSTS, 300)])
    text = (
        r"latency on toy of 0.2 ms and parameters of 300 params cannot be met: the nearest that width can is 0.335 ms "
        r"and 330 params; give --target-ms 0.335 --max-params 330"
    )
    with pytest.raises(TargetError, match=text):
        bounds.check_reachable(bounds.feasible_set(SPACE))
    Bounds([CostBound.params(COSTS, 330)]).check_reachable(bounds.feasible_set(SPACE))


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        # the least memory of any network is above 3 MB; with it there are networks of 6e7 multiply-adds
        ({"macs": 1e8, "memory": 3.0}, {"--max-memory-mb"}),
        ({"macs": 1e8, "params": 1e4, "memory": 3.0}, {"--max-params", "--max-memory-mb"}),
        ({"macs": 1e6, "params": 1e9, "size": 1000.0}, {"--max-macs"}),
    ],
)
def test_only_bounds_that_must_be_raised_are_named_and_the_raised_ones_can_be_met(
    limits: Mapping[str, float], raised: set[str]
) -> None:
    space = SPACES["mnasnet_proxy"]()
    costs = CompiledCosts(space)
    bounds = Bounds([COST_BOUNDS[name](costs, limit) for name, limit in limits.items()])
    with pytest.raises(TargetError) as caught:
        bounds.check_reachable(bounds.feasible_set(space))
    words = str(caught.value).partition("; give ")[2].split()
    given = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    assert given.keys() == raised
    for bound in bounds.all:
        bound.limit = given.get(bound.option, bound.limit)
    bounds.check_reachable(bounds.feasible_set(space))
    assert bounds.is_feasible(np.array([bounds.feasible_set(space).sample(np.random.default_rng(1))], np.uint8))[0]
    for option in given:  # and not by more than the third digit
        tight = Bounds([copy(bound) for bound in bounds.all])
        next(bound for bound in tight.all if bound.option == option).limit *= 0.98
        with pytest.raises(TargetError):
            tight.check_reachable(tight.feasible_set(space))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_are_numbers_above_0(limit: float) -> None:
    with pytest.raises(FieldError, match="--max-macs"):
        CostBound.macs(COSTS, limit)


@pytest.mark.parametrize("risk", [0.0, 0.6, float("nan")])
def test_risks_are_at_most_even(risk: float) -> None:
    with pytest.raises(FieldError, match="risk"):
        LatencyBound("toy", 1.0, latency(1.0, error=0.01), risk=risk)


def test_bounds_take_batches_of_uint8() -> None:
    rows: Genotypes = SPACE.sample_batch(100, np.random.default_rng(0))
    assert Bounds([CostBound.macs(COSTS, 9_000)]).is_feasible(rows).tolist() == (rows[:, 0] < 2).tolist()
