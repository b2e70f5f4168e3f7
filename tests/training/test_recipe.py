"""Learning rates by hand, bounds, named recipes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import FieldError, InputError
from mobilenas.training import RECIPES, Recipe, default_recipe


def test_learning_rate_follows_the_batch_size():
    assert Recipe(learning_rate=0.4, batch_size=256).peak_learning_rate == pytest.approx(0.4)
    assert Recipe(learning_rate=0.4, batch_size=64).peak_learning_rate == pytest.approx(0.1)
    assert Recipe(learning_rate=0.4, batch_size=1024).peak_learning_rate == pytest.approx(1.6)


def test_warm_up_then_cosine_by_hand():
    recipe = Recipe(epochs=3, warmup_epochs=1, learning_rate=1.0, batch_size=256)
    rates = [recipe.learning_rate_at(step, 4) for step in range(13)]
    # four steps of warm-up, then eight along half a cosine
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == pytest.approx(1.0)
    assert rates[6] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert rates[8] == pytest.approx(0.5)
    assert rates[10] == pytest.approx((1 - math.sqrt(0.5)) / 2)
    assert rates[12] == pytest.approx(0.0)


def test_without_warm_up_the_first_step_has_the_peak():
    assert Recipe(warmup_epochs=0, learning_rate=0.3, batch_size=256).learning_rate_at(0, 7) == pytest.approx(0.3)


@given(st.integers(1, 50), st.floats(0, 60), st.integers(1, 20))
def test_learning_rate_rises_to_at_most_the_peak_and_then_falls(epochs, warmup_epochs, steps):
    recipe = Recipe(epochs=epochs, warmup_epochs=warmup_epochs, learning_rate=1.0, batch_size=256)
    rates = [recipe.learning_rate_at(step, steps) for step in range(epochs * steps)]
    top = rates.index(max(rates))
    assert 0 < max(rates) <= 1
    assert min(rates) >= 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_a_short_run_keeps_a_short_warm_up():
    assert RECIPES["imagenet"].with_epochs(10).warmup_epochs == 2
    assert RECIPES["imagenet"].with_epochs(100).warmup_epochs == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("momentum", 1.0),
        ("weight_decay", math.inf),
        ("warmup_epochs", -1.0),
        ("label_smoothing", 1.0),
        ("ema_decay", -0.5),
        ("clip_norm", math.nan),
    ],
)
def test_a_value_out_of_range_names_the_field(field, value):
    with pytest.raises(FieldError, match=f"^{field}: "):
        Recipe(**{field: value})


def test_unknown_choices_in_a_file_name_the_field():
    with pytest.raises(InputError, match="optimizer: 'adam' is not accepted; give 'sgd' or 'rmsprop'"):
        Recipe.from_dict({"optimizer": "adam"})
    with pytest.raises(InputError, match="unknown field 'epoch'"):
        Recipe.from_dict({"epoch": 3})


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_their_file(name):
    assert Recipe.from_dict(RECIPES[name].to_dict()) == RECIPES[name]


@pytest.mark.parametrize(
    ("images", "resolution", "name"),
    [(1222, 32, "digits"), (42_500, 32, "cifar10"), (5000, 64, "cifar10"), (500, 224, "imagenet")],
)
def test_the_default_follows_the_data(images, resolution, name):
    assert default_recipe(images, resolution) == RECIPES[name]
    assert default_recipe(images, resolution, 30) == RECIPES[name].with_epochs(30)


def test_a_short_run_on_a_small_set_is_not_augmented():
    assert default_recipe(1222, 32, 14).augmentation == "none"
    assert default_recipe(1222, 32, 15).augmentation == "light"
    assert default_recipe(42_500, 32, 5).augmentation == "standard"
