"""Training learns, is reproducible, leaves process and test images alone, and says when it diverged."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mobilenas.training import Recipe, Split, accuracy, load_data, train
from mobilenas.training.trainer import optimizer_for

RECIPE = Recipe(epochs=2, batch_size=128)


def weights_of(module):
    return torch.cat([tensor.flatten().double() for tensor in module.state_dict().values()])


def trained(network, data, *, seed=0, **changes):
    module = network()
    train(module, data, replace(RECIPE, **changes), seed=seed)
    return weights_of(module)


def test_it_learns(digits, network):
    module = network()
    told = []
    result = train(
        module,
        digits,
        Recipe(epochs=12, batch_size=32, augmentation="none"),
        seed=0,
        on_epoch=lambda number, epoch: told.append((number, epoch)),
    )
    assert result.status == "ok"
    assert result.validation_accuracy > 0.8
    assert result.validation_accuracy == accuracy(module, digits.validation)
    assert [number for number, _ in told] == list(range(12))
    assert result.history[-1].loss < result.history[0].loss
    assert result.history[-1].validation_accuracy == result.validation_accuracy
    assert [epoch for _, epoch in told[:-1]] == list(result.history[:-1])
    assert not module.training


def test_the_seed_decides_to_the_last_bit(digits, network):
    first = trained(network, digits, seed=1)
    torch.manual_seed(999)
    torch.rand(7)
    train(network(seed=4), digits, replace(RECIPE, epochs=1), seed=8)
    assert torch.equal(trained(network, digits, seed=1), first)
    assert not torch.equal(trained(network, digits, seed=2), first)


def test_the_process_is_as_before(digits, network):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.are_deterministic_algorithms_enabled()
    trained(network, digits, epochs=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.are_deterministic_algorithms_enabled() is before[2] is False
    assert torch.utils.deterministic.fill_uninitialized_memory is True


def test_the_process_is_as_before_after_an_error_too(digits, network):
    def stop():
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        train(network(), digits, RECIPE, seed=0, pause=stop)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


class Forbidden:
    """Images that must not be looked at."""

    def __init__(self, labels):
        self.labels, self.workers = labels, 0

    def fetch(self, indices):
        raise AssertionError("the test images were looked at")


def test_test_images_are_not_looked_at(digits, network):
    test = replace(digits.test, images=Forbidden(digits.test.images.labels))
    trained(network, replace(digits, test=test), epochs=1)


def test_judging_sees_plain_images(digits, network, monkeypatch):
    """Augmentation never touches validation or test images: the accuracy of a network is that of its plain inputs."""
    fetched = []
    original = Split.normalised
    monkeypatch.setattr(Split, "normalised", lambda split, pixels: fetched.append(pixels) or original(split, pixels))
    module = network()
    accuracy(module, digits.validation)
    expected = digits.validation.images.fetch(digits.validation.indices.tolist())
    assert torch.equal(torch.cat(fetched), expected)


def test_accuracy_by_hand(digits):
    class AlwaysThree(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Parameter(torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))

        def forward(self, images):
            return self.scores.expand(len(images), -1)

    module = AlwaysThree().train()
    assert accuracy(module, digits.test) == pytest.approx((digits.test.labels == 3).mean())
    assert module.training


def test_pause_comes_before_every_step_and_every_batch_that_is_judged(digits, network):
    steps = []
    train(network(), digits, replace(RECIPE, epochs=2), seed=0, pause=lambda: steps.append(1), judge_epochs=True)
    # two epochs of 9 steps, one of 216 images judged after each, 19 batches of 64 for batch norm
    assert len(steps) == 2 * 9 + 2 + 19


def test_epochs_need_not_be_judged(digits, network):
    module = network()
    result = train(module, digits, replace(RECIPE, epochs=3), seed=0, judge_epochs=False)
    assert [epoch.validation_accuracy for epoch in result.history] == [None, None, result.validation_accuracy]


def test_judging_epochs_does_not_change_the_weights(digits, network):
    judged, plain = network(), network()
    train(judged, digits, RECIPE, seed=0)
    train(plain, digits, RECIPE, seed=0, judge_epochs=False)
    assert torch.equal(weights_of(judged), weights_of(plain))


@pytest.mark.filterwarnings("error")
def test_a_diverged_training_says_so(digits, network):
    class Explodes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, images):
            return self.inner(images) * math.inf

    result = train(Explodes(), digits, RECIPE, seed=0)
    assert result.status == "failed"
    assert result.validation_accuracy == 0
    assert result.history == ()


def test_weights_that_end_not_finite_are_a_failure(digits, network):
    """The very last step can spoil the weights without a loss that shows it."""

    class Spoils(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.steps = network(), 0

        def forward(self, images):
            self.steps += 1
            loss = self.inner(images)
            return loss * 1.0 if self.steps < 9 else Spoiled.apply(loss)

    class Spoiled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.nan

    result = train(Spoils(), digits, replace(RECIPE, epochs=1), seed=0, judge_epochs=False)
    assert result.status == "failed"


def test_weight_decay_spares_biases_and_batch_norm(network):
    module = network()
    groups = optimizer_for(module, Recipe(weight_decay=0.25)).param_groups
    by_decay = {group["weight_decay"]: {id(p) for p in group["params"]} for group in groups}
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert {names[i] for i in by_decay[0.25]} == {"0.weight", "3.weight", "9.weight"}
    assert {names[i] for i in by_decay[0.0]} == {"1.weight", "1.bias", "4.weight", "4.bias", "9.bias"}


def test_one_step_of_sgd_by_hand(digits, network):
    """One step at a known rate: nesterov's first step is lr * (1 + momentum) * gradient, no clipping, no decay."""
    few = replace(digits, train=digits.train.subset(np.arange(50)))
    recipe = Recipe(
        epochs=1,
        batch_size=50,
        warmup_epochs=0,
        learning_rate=0.512,
        momentum=0.9,
        weight_decay=0.0,
        label_smoothing=0.0,
        augmentation="none",
        clip_norm=0.0,
    )
    module = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    nn.init.zeros_(module[1].weight)
    nn.init.zeros_(module[1].bias)
    train(module, few, recipe, seed=0)
    images, labels = next(iter(few.train.batches(50)))
    target = torch.nn.functional.one_hot(labels, 10).float()
    gradient = (torch.full((50, 10), 0.1) - target).mT @ images.flatten(1) / 50
    assert torch.allclose(module[1].weight, -0.1 * 1.9 * gradient, atol=1e-6)


def test_the_gradient_is_clipped(digits):
    module = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    nn.init.zeros_(module[1].weight)
    nn.init.zeros_(module[1].bias)
    recipe = Recipe(epochs=1, batch_size=1222, warmup_epochs=0, learning_rate=1.0, momentum=0.0, clip_norm=1e-3)
    train(module, digits, recipe, seed=0)
    step = torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).norm()
    assert float(step) == pytest.approx(recipe.peak_learning_rate * 1e-3, rel=1e-3)


@pytest.mark.slow
def test_shuffled_labels_give_chance_level():
    """Nothing leaks from the held-out images: with labels that mean nothing, no more than chance is reached.

    Of 359 images, 10 % at chance, and a standard deviation of 1.6 %: four of them on either side.
    """
    from mobilenas.nn import GraphModule, initialize
    from mobilenas.spaces.mnasnet import MnasNetSpace

    data = load_data("digits")
    shuffled = data.train.images.labels.copy()
    np.random.default_rng(0).shuffle(shuffled)
    images = replace(data.train.images, labels=shuffled)
    meaningless = replace(
        data, train=replace(data.train, images=images), validation=replace(data.validation, images=images)
    )
    arch = MnasNetSpace(resolution=32, num_classes=10).decode([0] * 42)
    scores = {}
    for name, chosen in (("real", data), ("shuffled", meaningless)):
        module = GraphModule(arch.graph())
        initialize(module, 0)
        train(module, chosen, Recipe(epochs=8, batch_size=64, augmentation="none"), seed=0, judge_epochs=False)
        scores[name] = accuracy(module, data.test)
    assert scores["real"] > 0.6
    assert abs(scores["shuffled"] - 0.1) < 4 * math.sqrt(0.1 * 0.9 / len(data.test))
