"""Accuracy after a short training from scratch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict

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
        pause: Called before every training step.

    Source: MnasNet trains its candidates for 5 of some 350 epochs, arXiv 1807.11626, section 5.
    Differs from the paper: the learning rate falls to 0 within the short training, as if it were a whole one.
    """

    def __init__(self, data: ImageData, recipe: Recipe, *, pause: Callable[[], None] = lambda: None) -> None:
        self._data, self._recipe, self._pause = data, recipe, pause

    def settings(self) -> Mapping[str, object]:
        return {"evaluator": "short_training", "data": self._data.name, "recipe": asdict(self._recipe)}

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        if arch.resolution != self._data.resolution or arch.num_classes != self._data.num_classes:
            raise InputError(
                f"{arch.name} is for {arch.resolution} px and {arch.num_classes} classes, "
                f"the data has {self._data.resolution} px and {self._data.num_classes} classes"
            )
        module = GraphModule(arch.graph())
        initialize(module, seed)
        result = train(module, self._data, self._recipe, seed=seed, pause=self._pause, judge_epochs=False)
        if result.status != "ok":
            return Evaluation(accuracy=0.0, status="failed", seconds=result.seconds, detail="the loss was not finite")
        share = result.validation_accuracy
        error = math.sqrt(share * (1 - share) / len(self._data.validation))
        return Evaluation(accuracy=share, std=error, seconds=result.seconds)
