"""fine_tuned: quantization-aware training, from a quantized network to one that has learnt to live with rounding."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mobilenas.errors import InputError
from mobilenas.nn import state_arrays
from mobilenas.quantization.quantize import Quantized
from mobilenas.training import Epoch, ImageData, Recipe, accuracy, train
from mobilenas.training.recipe import Augmentation

EPOCHS = 4
LEARNING_RATE_SHARE = 0.05
"""Of the recipe that the network was trained with: it is all but there."""


def fine_tuning_recipe(recipe: Recipe, epochs: int = EPOCHS) -> Recipe:
    """How a network that was trained with `recipe` is fine-tuned: for a short while, slowly, lightly augmented."""
    rate = LEARNING_RATE_SHARE * recipe.learning_rate
    kept: Augmentation = "none" if recipe.augmentation == "none" else "light"
    return replace(recipe.with_epochs(epochs), learning_rate=rate, warmup_epochs=0.0, augmentation=kept)


def fine_tuned(
    found: Quantized,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    pause: Callable[[], None] = lambda: None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> Quantized:
    """Trains a quantized network on, in the operators and the rounding of its file.

    Args:
        found: The network.
        data: Its images; the test split is not touched.
        recipe: As `fine_tuning_recipe` gives it.
        seed: Of everything random.
        checkpoint: Where an interrupted fine-tuning goes on from.
        pause: Called before every step.
        on_epoch: Told of every epoch, counted from 0.

    Returns:
        The network with its new weights and its old ranges; as it was unless the new ones are more accurate on the
        validation images, both in int8. `steps` says which.

    Raises:
        InputError: If the training diverged, or the checkpoint is another training's.

    Source: Jacob et al., arXiv 1712.05877, section 3; see `SimulatedInt8` for what differs.
    """
    network = found.network()
    result = train(
        network, data, recipe, seed=seed, checkpoint=checkpoint, pause=pause, on_epoch=on_epoch, judge_epochs=False
    )
    if result.status != "ok":
        raise InputError(
            f"fine-tuning diverged after {len(result.history)} of {recipe.epochs} epochs; "
            f"give a learning rate below {recipe.learning_rate:g}"
        )
    if result.validation_accuracy <= accuracy(found.network(), data.validation, pause=pause):
        return replace(found, steps=(*found.steps, f"fine-tuning of {recipe.epochs} epochs did not help"))
    weights = state_arrays(network.network.cpu())
    steps = (*found.steps, f"fine-tuning of {recipe.epochs} epochs")
    return replace(found, weights=weights, steps=steps, fine_tuned=True)
