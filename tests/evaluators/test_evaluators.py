"""Short training of real networks, the cache in front of it, and what names it."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mobilenas.arch import Arch
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.errors import FieldError, InputError
from mobilenas.evaluators import EVALUATORS, CachedEvaluator, Evaluation, Evaluator
from mobilenas.evaluators.short_training import ShortTraining
from mobilenas.training import Recipe, load_data


def tiny_arch(width=16, *, name="tiny", classes=10):
    return Arch(
        stem=ConvBnAct(out_channels=width, stride=2),
        stages=((ConvBnAct(out_channels=2 * width, stride=2),),),
        head=ConvPoolLinear(out_channels=32),
        resolution=32,
        num_classes=classes,
        name=name,
    )


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.fixture
def short_training(digits):
    return ShortTraining(digits, Recipe(epochs=10, batch_size=32, augmentation="none"))


def test_an_evaluation_is_the_validation_accuracy_and_its_binomial_deviation(short_training):
    evaluation = short_training(tiny_arch(), seed=0)
    assert evaluation.status == "ok"
    assert 0.5 < evaluation.accuracy < 1
    assert evaluation.accuracy * 216 == pytest.approx(round(evaluation.accuracy * 216))
    assert evaluation.std == pytest.approx((evaluation.accuracy * (1 - evaluation.accuracy) / 216) ** 0.5)
    assert evaluation.seconds > 0


def test_the_seed_decides(digits):
    evaluate = ShortTraining(digits, Recipe(epochs=1, batch_size=32, augmentation="none"))
    first, other, again = (evaluate(tiny_arch(), seed=seed) for seed in (5, 6, 5))
    assert replace(again, seconds=0) == replace(first, seconds=0)
    assert other.accuracy != first.accuracy


def test_settings_are_json_and_name_what_decides(short_training, digits):
    settings = json.loads(json.dumps(short_training.settings))
    assert settings["data"] == "digits"
    assert settings["recipe"]["epochs"] == 10
    other = ShortTraining(load_data("digits", seed=1), Recipe(epochs=10, batch_size=32, augmentation="none"))
    assert other.settings != short_training.settings
    assert ShortTraining(digits, Recipe(epochs=5)).settings != ShortTraining(digits, Recipe(epochs=6)).settings


@pytest.mark.parametrize("changes", [{"num_classes": 7}, {"resolution": 64}])
def test_a_network_for_other_data_is_refused(short_training, changes):
    with pytest.raises(InputError, match=r"tiny is for .* digits has 32 pixels and 10 classes"):
        short_training(tiny_arch().resized(**changes), seed=0)


def test_a_diverged_training_is_a_failed_evaluation(digits):
    recipe = Recipe(epochs=2, learning_rate=1e38, warmup_epochs=0, clip_norm=0.0, augmentation="none")
    evaluation = ShortTraining(digits, recipe)(tiny_arch(), seed=0)
    assert evaluation.status == "failed"
    assert evaluation.accuracy == 0
    assert evaluation.detail == "training diverged in epoch 1"


def test_it_pauses_before_every_step(digits):
    steps = []
    recipe = Recipe(epochs=1, batch_size=611, augmentation="none")
    ShortTraining(digits, recipe, pause=lambda: steps.append(1))(tiny_arch(), seed=0)
    assert len(steps) >= 2


class Counting(Evaluator):
    """Answers with the seed as accuracy and counts the questions."""

    def __init__(self):
        self.asked, self.epochs = [], 1

    @property
    def settings(self):
        return {"epochs": self.epochs}

    def __call__(self, arch, *, seed):
        self.asked.append((arch.name, seed))
        return Evaluation(accuracy=seed / 100)


def test_equal_networks_are_evaluated_once_and_the_first_seed_stands():
    inner = Counting()
    cached = CachedEvaluator(inner)
    assert tiny_arch() not in cached
    assert cached(tiny_arch(), seed=3).accuracy == 0.03
    assert cached(tiny_arch(name="twin"), seed=4).accuracy == 0.03
    assert tiny_arch(name="another twin") in cached
    assert cached(tiny_arch(24), seed=5).accuracy == 0.05
    assert inner.asked == [("tiny", 3), ("tiny", 5)]
    assert cached.settings == inner.settings


def test_what_a_history_says_is_not_asked_again():
    inner = Counting()
    cached = CachedEvaluator(inner)
    cached.prime(tiny_arch(), Evaluation(accuracy=0.5, status="ok"))
    cached.prime(tiny_arch(), Evaluation(accuracy=0.6))
    assert cached(tiny_arch(), seed=1).accuracy == 0.5
    assert inner.asked == []


def test_other_settings_are_another_question():
    inner = Counting()
    cached = CachedEvaluator(inner)
    cached(tiny_arch(), seed=1)
    inner.epochs = 2
    assert tiny_arch() not in cached
    assert cached(tiny_arch(), seed=2).accuracy == 0.02


@pytest.mark.parametrize(
    ("field", "value"), [("accuracy", 1.5), ("accuracy", np.nan), ("std", -0.1), ("status", "odd"), ("seconds", np.inf)]
)
def test_an_evaluation_out_of_range_names_the_field(field, value):
    with pytest.raises(FieldError, match=field):
        Evaluation(**{"accuracy": 0.5} | {field: value})


def test_evaluators_are_found_by_file_name():
    assert list(EVALUATORS) == ["imagenet_surrogate", "short_training"]
    assert EVALUATORS["short_training"] is ShortTraining
    with pytest.raises(InputError, match=r"unknown evaluator 'short'; did you mean: .*short_training"):
        EVALUATORS["short"]


def test_the_registry_and_the_cache_load_no_torch():
    code = (
        "import sys, mobilenas.evaluators as e; list(e.EVALUATORS); assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
