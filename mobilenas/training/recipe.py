"""Recipe: how a network is trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from mobilenas.settings import Settings, check

Augmentation = Literal["none", "light", "standard"]
REFERENCE_BATCH = 256
SMALL_SET = 5000
SMALL_RESOLUTION = 64
SHORT_RUN = 15


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """Settings of one training.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step, over all processes together.
        optimizer: "sgd" (Nesterov) or "rmsprop".
        learning_rate: At the end of the warm-up, for 256 images a step; other batch sizes get it in proportion.
        momentum: Of either optimizer.
        weight_decay: On weights of convolutions and fully connected layers; none on biases and batch norm.
        warmup_epochs: The learning rate rises linearly over these, then falls to 0 along a cosine.
        label_smoothing: Share of the target that goes to all classes alike.
        ema_decay: Of the averaged weights that are kept in the end; in the first steps it is smaller.
        augmentation: "none", "light" (small shifts, and flips where the data allows) or "standard" (RandAugment too).
        clip_norm: Largest norm of the gradient; 0 does not clip.

    Raises:
        FieldError: If a value is not accepted.

    Source: learning rate in proportion to the batch, linear warm-up: Goyal et al., arXiv 1706.02677, section 2; cosine
    decay: Loshchilov and Hutter, arXiv 1608.03983.
    """

    epochs: int = 30
    batch_size: int = 64
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    learning_rate: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    ema_decay: float = 0.999
    augmentation: Augmentation = "light"
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        check(1 <= self.epochs <= 100_000, "epochs", self.epochs, "a whole number from 1 to 100000")
        check(2 <= self.batch_size <= 65_536, "batch_size", self.batch_size, "a whole number from 2 to 65536")
        for name in ("momentum", "label_smoothing", "ema_decay"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number from 0 to below 1")
        for name in ("learning_rate", "weight_decay", "warmup_epochs", "clip_norm"):
            value = getattr(self, name)
            check(math.isfinite(value) and value >= 0, name, value, "a number from 0")

    @property
    def peak_learning_rate(self) -> float:
        """Learning rate at the end of the warm-up, for this batch size."""
        return self.learning_rate * self.batch_size / REFERENCE_BATCH

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs; the warm-up never takes more than a fifth of them."""
        return replace(self, epochs=epochs, warmup_epochs=min(self.warmup_epochs, epochs / 5))

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of step `step`, counted from 0.

        With W steps of warm-up of T in all: peak * (step + 1) / (W + 1) before step W, then
        peak * (1 + cos(pi * (step - W) / (T - W))) / 2.
        """
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.peak_learning_rate * (step + 1) / (warmup + 1)
        done = (step - warmup) / max(total - warmup, 1)
        return self.peak_learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "digits": Recipe(epochs=40, batch_size=32, warmup_epochs=2, weight_decay=5e-4),
        "cifar10": Recipe(
            epochs=60, batch_size=128, learning_rate=0.2, warmup_epochs=2, weight_decay=5e-4, augmentation="standard"
        ),
        "imagenet": Recipe(
            epochs=350,
            batch_size=256,
            optimizer="rmsprop",
            learning_rate=0.016,
            weight_decay=1e-5,
            warmup_epochs=5,
            ema_decay=0.9999,
            augmentation="standard",
        ),
    }
)
"""Named recipes.

`digits` and `cifar10` do not clip: clipped gradients of networks without residuals train more slowly. `imagenet` is
that of MnasNet and EfficientNet. Source: arXiv 1807.11626, section 5 (0.256 for a batch of 4,096, warm-up of 5 epochs,
RMSprop with decay and momentum 0.9, weight decay 1e-5). Differs from the paper: cosine decay instead of 0.97 every 2.4
epochs; RandAugment.
"""


def default_recipe(images: int, resolution: int, epochs: int | None = None) -> Recipe:
    """A recipe for a number of training images at a resolution.

    Up to 64 pixels that of `digits` below 5,000 images and that of `cifar10` from there on; above, that of `imagenet`.
    In less than 15 epochs a small set is learnt better without augmentation.

    Args:
        images: Training images.
        resolution: Height and width in pixels.
        epochs: Instead of the recipe's own.
    """
    name = "imagenet" if resolution > SMALL_RESOLUTION else "digits" if images < SMALL_SET else "cifar10"
    recipe = RECIPES[name].with_epochs(epochs or RECIPES[name].epochs)
    return replace(recipe, augmentation="none") if name == "digits" and recipe.epochs < SHORT_RUN else recipe
