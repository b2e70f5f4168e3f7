"""Accuracy after a short training from scratch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Self

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.evaluators.evaluator import Evaluation, Evaluator
from mobilenas.nn import GraphModule, initialize
from mobilenas.training import ImageData, Recipe, train


class ShortTraining(Evaluator):
    """Trains every network for a few epochs and judges it on the validation images.

    Args:
        data: The images; the test split is not touched.
        recipe: How, and for how many epochs.
        pause: Called before every training step; it returns when the step may run.

    Source: MnasNet trains each sampled network for 5 epochs, arXiv 1807.11626, section 5.
    Differs from the paper: the learning rate falls to 0 within the short training, as if it were a whole one.
    """

    def __init__(self, data: ImageData, recipe: Recipe, *, pause: Callable[[], None] = lambda: None) -> None:
        self._data, self._recipe, self._pause = data, recipe, pause

    @classmethod
    def for_search(cls, data: ImageData, recipe: Recipe, *, pause: Callable[[], None]) -> Self:
        """Trains every network of a search."""
        return cls(data, recipe, pause=pause)

    @property
    def settings(self) -> Mapping[str, object]:
        """Data by name and fingerprint, and the recipe."""
        return {
            "evaluator": "short_training",
            "data": self._data.name,
            "fingerprint": self._data.fingerprint,
            "recipe": asdict(self._recipe),
        }

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """Trains and judges a network; `std` is the binomial one of as many validation images.

        Raises:
            InputError: If the network is for another resolution or number of classes, or an image cannot be read.
        """
        data = self._data
        if arch.resolution != data.resolution or arch.num_classes != data.num_classes:
            raise InputError(
                f"{arch.name} is for {arch.resolution} pixels and {arch.num_classes} classes, {data.name} has "
                f"{data.resolution} pixels and {data.num_classes} classes; resize the network, or give other data"
            )
        module = GraphModule(arch.graph())
        initialize(module, seed)
        result = train(module, data, self._recipe, seed=seed, pause=self._pause, judge_epochs=False)
        if result.status != "ok":
            detail = f"training diverged in epoch {len(result.history) + 1}"
            return Evaluation(accuracy=0.0, status="failed", seconds=result.seconds, detail=detail)
        share = result.validation_accuracy
        std = math.sqrt(share * (1 - share) / len(data.validation))
        return Evaluation(accuracy=share, std=std, seconds=result.seconds)
