"""Recipe: how a network is trained."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from mobilenas.settings import Settings, check

Augmentation = Literal["none", "light", "standard"]


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """Settings of one training.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: "sgd" (Nesterov) or "rmsprop".
        learning_rate: At the end of the warm-up.
        momentum: Of either optimizer.
        weight_decay: On weights of convolutions and fully connected layers; none on biases and batch norm.
        warmup_epochs: The learning rate rises linearly over these, then falls to 0 along a cosine.
        label_smoothing: Share of the target that goes to all classes alike.
        ema_decay: Of the averaged weights that are kept in the end; in the first steps it is smaller.
        augmentation: "none", "light" (small shifts) or "standard" (shifts, flips where the data allows, RandAugment).
        clip_norm: Largest norm of the gradient.

    Source: label smoothing, RMSprop and weight averaging as in MnasNet and MobileNetV3; cosine decay with linear warm-up:
    Goyal et al., arXiv 1706.02677, and Loshchilov and Hutter, arXiv 1608.03983.
    """

    epochs: int = 30
    batch_size: int = 64
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    ema_decay: float = 0.99
    augmentation: Augmentation = "light"
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        check(1 <= self.epochs <= 100_000, "epochs", self.epochs, "a whole number from 1 to 100000")
        check(2 <= self.batch_size <= 65_536, "batch_size", self.batch_size, "a whole number from 2 to 65536")
        rate = math.isfinite(self.learning_rate) and self.learning_rate >= 0
        check(rate, "learning_rate", self.learning_rate, "a number from 0")
        for name in ("momentum", "label_smoothing", "ema_decay"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number from 0 to below 1")
        for name in ("weight_decay", "warmup_epochs", "clip_norm"):
            value = getattr(self, name)
            check(math.isfinite(value) and value >= 0, name, value, "a number from 0")

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs; the warm-up never takes more than a fifth of them."""
        return replace(self, epochs=epochs, warmup_epochs=min(self.warmup_epochs, epochs / 5))

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / (warmup + 1)
        done = (step - warmup) / max(total - warmup, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


SMALL_SET = 5000
SMALL_RESOLUTION = 64


def default_recipe(images: int, resolution: int, epochs: int | None = None) -> Recipe:
    """A recipe for a number of training images at a resolution.

    Up to 64 pixels: SGD with small shifts, or on 5,000 images and more with flips and RandAugment; larger: RMSprop as in
    MobileNetV3. In less than 15 epochs a small set is learnt better without augmentation.
    """
    if resolution > SMALL_RESOLUTION:
        recipe = Recipe(
            optimizer="rmsprop",
            learning_rate=0.008,
            weight_decay=1e-5,
            warmup_epochs=3,
            ema_decay=0.999,
            augmentation="standard",
        )
        return recipe.with_epochs(epochs or 60)
    if images < SMALL_SET:
        count = epochs or 40
        augmentation: Augmentation = "light" if count >= 15 else "none"
        recipe = Recipe(weight_decay=5e-4, warmup_epochs=2, augmentation=augmentation, ema_decay=0.98)
        return recipe.with_epochs(count)
    recipe = Recipe(batch_size=128, weight_decay=5e-4, warmup_epochs=2, augmentation="standard", ema_decay=0.995)
    return recipe.with_epochs(epochs or 60)
