"""The controller, and what REINFORCE and PPO make of it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from mobilenas.errors import FieldError, InputError
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._controller import Controller
from mobilenas.searchers._policy_search import PolicySearch, PolicySettings
from mobilenas.searchers.ppo import PPO, ppo_loss
from mobilenas.searchers.reinforce import Reinforce, reinforce_loss
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace
from mobilenas.testing.trials import make_trial

SIZES = (2, 3, 2)
EVERYTHING = np.array(list(product(*map(range, SIZES))), np.uint8)
REWARDS = torch.tensor(np.random.default_rng(0).random(len(EVERYTHING)))
BASELINE = 0.4
FEASIBLE = FeasibleSet.all(NasBenchMacroSpace())


def toy(*, temperature: float = 1.0, tanh_constant: float = 0.0) -> Controller:
    controller = Controller(SIZES, hidden=4, temperature=temperature, tanh_constant=tanh_constant, seed=1).double()
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(8)  # far from uniform, so that a wrong gradient shows
    return controller


def expected_reward(controller: Controller) -> torch.Tensor:
    """Over all genotypes."""
    probabilities = controller.log_probabilities(EVERYTHING)[0].sum(1).exp()
    return (probabilities * REWARDS).sum()


def finite_differences(controller: Controller) -> "list[float]":
    """Of the expected reward, by every parameter."""
    found = []
    with torch.no_grad():
        for parameter in controller.parameters():
            flat = parameter.view(-1)
            for place in range(len(flat)):
                value = flat[place].item()
                ends = []
                for end in (value + 1e-5, value - 1e-5):
                    flat[place] = end
                    ends.append(expected_reward(controller).item())
                flat[place] = value
                found.append((ends[0] - ends[1]) / 2e-5)
    return found


@pytest.mark.parametrize(("temperature", "tanh_constant"), [(1.0, 0.0), (2.0, 1.5)])
@pytest.mark.parametrize("searcher", ["reinforce", "ppo"])
def test_the_objective_s_gradient_is_that_of_the_expected_reward(
    searcher: str, temperature: float, tanh_constant: float
) -> None:
    """Every genotype once, weighted by its probability: the sampled gradient's expectation, with any baseline."""
    controller = toy(temperature=temperature, tanh_constant=tanh_constant)
    log_probabilities, entropies = controller.log_probabilities(EVERYTHING)
    weights = log_probabilities.detach().sum(1).exp() * len(EVERYTHING)
    advantages = weights * (REWARDS - BASELINE)
    if searcher == "reinforce":
        loss = reinforce_loss(log_probabilities, advantages, entropies, 0.0)
    else:
        loss = ppo_loss(log_probabilities, log_probabilities.detach(), advantages, entropies, 0.0, 0.2)
    loss.backward()
    gradient = torch.cat([parameter.grad.view(-1) for parameter in controller.parameters()])
    assert (-gradient).tolist() == pytest.approx(finite_differences(controller), abs=1e-8)
    assert gradient.abs().max() > 0.01


def test_the_entropy_s_gradient_agrees_with_finite_differences() -> None:
    controller = toy()
    log_probabilities, entropies = controller.log_probabilities(EVERYTHING)
    loss = reinforce_loss(log_probabilities, torch.zeros(len(EVERYTHING)), entropies, 0.3)
    assert loss.item() == pytest.approx(-0.3 * entropies.sum(1).mean().item())
    parameter = next(controller.parameters())
    loss.backward()
    with torch.no_grad():
        ends = []
        for step in (1e-5, -2e-5):
            parameter[0, 0] += step
            ends.append(-0.3 * controller.log_probabilities(EVERYTHING)[1].sum(1).mean().item())
    assert parameter.grad[0, 0].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


def test_ppo_s_clip_by_hand() -> None:
    # ratios 1.5 and 0.5, clip 0.2. Gain 1: min(1.5, 1.2) and min(0.5, 0.8). Gain -1: min(-1.5, -1.2), min(-0.5, -0.8)
    log_probabilities = torch.log(torch.tensor([[1.5, 0.5], [1.5, 0.5]]))
    zeros = torch.zeros(2, 2)
    loss = ppo_loss(log_probabilities, zeros, torch.tensor([1.0, -1.0]), zeros, 0.0, 0.2)
    assert loss.item() == pytest.approx(-((1.2 + 0.5) + (-1.5 - 0.8)) / 2)


def test_probabilities_sum_to_one_and_samples_follow_them() -> None:
    controller = toy(tanh_constant=1.0)
    probabilities = controller.log_probabilities(EVERYTHING)[0].sum(1).exp().detach().numpy()
    assert probabilities.sum() == pytest.approx(1)
    samples = controller.sample(np.random.default_rng(0).random((20_000, 3)))
    counts = np.bincount(np.ravel_multi_index(tuple(samples.T), SIZES), minlength=len(EVERYTHING))
    assert counts / 20_000 == pytest.approx(probabilities, abs=0.02)
    assert probabilities.max() > 1.5 * probabilities.min()


def test_temperature_and_tanh_level_the_probabilities() -> None:
    entropies = [
        toy(temperature=temperature, tanh_constant=tanh_constant).log_probabilities(EVERYTHING)[1].mean().item()
        for temperature, tanh_constant in ((1.0, 0.0), (5.0, 0.0), (1.0, 0.1))
    ]
    assert entropies[0] < entropies[1]
    assert entropies[0] < entropies[2]


def last_rewards(searcher: PolicySearch, samples: int) -> float:
    """The mean of the last 100 of so many samples, where the reward is the share of choices that are 2."""
    rewards = []
    for index in range(samples):
        genotype = searcher.ask()
        rewards.append(sum(choice == 2 for choice in genotype) / 8)
        searcher.tell(make_trial(index, genotype=genotype, accuracy=rewards[-1]))
    return float(np.mean(rewards[-100:]))


@pytest.mark.parametrize("searcher", [Reinforce, PPO])
def test_it_learns_and_without_a_learning_rate_it_does_not(searcher: type[PolicySearch]) -> None:
    settings = PolicySettings(learning_rate=2e-2, batch=10, entropy=1e-4, baseline_decay=0.9, hidden=16)
    idle = replace(settings, learning_rate=0.0)
    assert last_rewards(searcher(FEASIBLE, seed=0, settings=settings), 300) > 0.7
    assert last_rewards(searcher(FEASIBLE, seed=0, settings=idle), 200) < 0.5


def test_the_baseline_is_a_moving_average_of_batches() -> None:
    settings = PolicySettings(learning_rate=1e-3, batch=2, entropy=0.0, baseline_decay=0.9)
    searcher = Reinforce(FEASIBLE, seed=0, settings=settings)
    for index, reward in enumerate((0.2, 0.4, 0.8, None)):
        searcher.tell(make_trial(index, genotype=searcher.ask(), accuracy=reward))
    # the first batch's mean is 0.3, that of the second 0.4, since a failed trial earns 0: 0.9 * 0.3 + 0.1 * 0.4
    assert searcher.state_dict()["baseline"] == pytest.approx(0.31)


def test_a_state_of_another_size_is_refused() -> None:
    small = PolicySettings(learning_rate=1e-3, batch=10, entropy=0.0, baseline_decay=0.9, hidden=8)
    state = Reinforce(FEASIBLE, seed=0, settings=small).state_dict()
    with pytest.raises(InputError, match="not a state of Reinforce"):
        Reinforce(FEASIBLE, seed=0).load_state_dict(state)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -1.0),
        ("batch", 0),
        ("entropy", -0.1),
        ("baseline_decay", 1.0),
        ("hidden", 0),
        ("temperature", 0.0),
        ("tanh_constant", -1.0),
    ],
)
def test_settings_out_of_range_are_named(field: str, value: float) -> None:
    values = {"learning_rate": 0.01, "batch": 10, "entropy": 0.0, "baseline_decay": 0.9} | {field: value}
    with pytest.raises(FieldError, match=field):
        PolicySettings.from_dict(values)


def test_ppo_s_own_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="epochs: 0"):
        PPO(FEASIBLE, seed=0, epochs=0)
    with pytest.raises(FieldError, match="clip: 1"):
        PPO(FEASIBLE, seed=0, clip=1.0)


def test_a_batch_is_what_as_many_asks_give() -> None:
    feasible = FeasibleSet(
        FEASIBLE.space, lambda genotypes: genotypes[:, 0] == 1, lambda genotypes: np.abs(genotypes[:, 0] - 1.0)
    )
    one, other = Reinforce(feasible, seed=0), Reinforce(feasible, seed=0)
    assert one.ask_batch(20) == [other.ask() for _ in range(20)]
    assert one.ask() == other.ask()
