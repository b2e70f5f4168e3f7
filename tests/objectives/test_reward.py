import numpy as np
import pytest

from mobilenas.errors import FieldError, InputError
from mobilenas.objectives import AbsoluteReward, Reward, WeightedProductReward


def test_soft_by_hand() -> None:
    # 0.75 * 2 ** -0.07 = 0.75 * 0.952638
    assert Reward.named("soft")(0.75, 150, 75) == pytest.approx(0.714479, abs=1e-6)
    # faster earns: 0.75 * 0.5 ** -0.07 = 0.75 * 1.049717
    assert Reward.named("soft")(0.75, 37.5, 75) == pytest.approx(0.787287, abs=1e-6)
    assert Reward.named("soft")(0.75, 75, 75) == 0.75


def test_twice_as_slow_and_5_percent_better_is_worth_the_same() -> None:
    soft = Reward.named("soft")
    assert soft(0.5 * 1.05, 150, 75) == pytest.approx(float(soft(0.5, 75, 75)), rel=3e-4)


def test_hard_by_hand() -> None:
    hard = Reward.named("hard")
    assert hard(0.75, 10, 75) == 0.75
    assert hard(0.75, 75, 75) == 0.75
    assert hard(0.75, 150, 75) == pytest.approx(0.375)


def test_absolute_by_hand() -> None:
    absolute = Reward.named("absolute")
    assert absolute(0.75, 75, 75) == 0.75
    assert absolute(0.75, 90, 75) == pytest.approx(0.73)
    assert absolute(0.75, 60, 75) == pytest.approx(0.73)
    assert AbsoluteReward(beta=-0.5)(0.75, 90, 75) == pytest.approx(0.65)


def test_the_exponent_changes_at_the_target() -> None:
    reward = WeightedProductReward(alpha=-0.5, beta=-2.0)
    assert reward(1.0, [1.0, 4.0, 8.0], 4.0) == pytest.approx([2.0, 1.0, 0.25])


@pytest.mark.parametrize("name", ["soft", "hard", "absolute"])
def test_arrays_are_the_numbers_one_by_one(name: str) -> None:
    rng = np.random.default_rng(0)
    accuracy, latency_ms, target_ms = rng.random(50), rng.uniform(1, 100, 50), rng.uniform(1, 100, 50)
    reward = Reward.named(name)
    single = [float(reward(*row)) for row in zip(accuracy, latency_ms, target_ms, strict=True)]
    assert reward(accuracy, latency_ms, target_ms) == pytest.approx(single, rel=1e-12)
    assert reward(accuracy[:, None], latency_ms, 10).shape == (50, 50)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1.01, 10, 75), r"accuracy: 1.01 is not accepted; give numbers in \[0, 1\]"),
        (([0.5, float("nan")], 10, 75), "accuracy: nan"),
        ((0.5, [10.0, 0.0], 75), "latency_ms: 0.0 is not accepted; give milliseconds above 0"),
        ((0.5, float("inf"), 75), "latency_ms: inf"),
        ((0.5, 10, -75), "target_ms: -75.0"),
    ],
)
def test_values_out_of_range_are_named(values: tuple[float, float, float], text: str) -> None:
    with pytest.raises(FieldError, match=text):
        Reward.named("soft")(*values)


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match=r"alpha: 0\.07 is not accepted; give a number from -10 to 0"):
        WeightedProductReward(alpha=0.07)
    with pytest.raises(FieldError, match=r"alpha: -1e\+308"):  # the power would be infinite
        WeightedProductReward(alpha=-1e308)
    with pytest.raises(FieldError, match="beta: nan"):
        WeightedProductReward(beta=float("nan"))
    with pytest.raises(FieldError, match=r"beta: 0\.0"):
        AbsoluteReward(beta=0.0)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="unknown reward 'sofft'; did you mean: soft"):
        Reward.named("sofft")


def test_strict_by_hand() -> None:
    strict = Reward.named("strict")
    assert strict([0.75, 0.75, 0.99], [75, 74, 90], 75) == pytest.approx([0.75, 0.75, -0.2])
    assert strict(0.0, 75, 75) > strict(1.0, 75.1, 75) > strict(1.0, 76, 75)


def test_exponents_are_settings() -> None:
    # MobileNetV3-Small: w = -0.15
    assert Reward.named("soft", alpha=-0.15, beta=-0.15) == WeightedProductReward(alpha=-0.15, beta=-0.15)
    assert Reward.named("hard", beta=-2.0)(0.8, 150, 75) == pytest.approx(0.2)
    assert Reward.named("absolute", beta=-0.5) == AbsoluteReward(beta=-0.5)
    with pytest.raises(InputError, match="the reward 'absolute' has no alpha; leave it out"):
        Reward.named("absolute", alpha=-0.1)
    with pytest.raises(InputError, match="the reward 'strict' has no beta"):
        Reward.named("strict", beta=-0.1)
