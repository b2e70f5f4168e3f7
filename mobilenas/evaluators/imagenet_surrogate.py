"""ImageNet accuracy of a MnasNet sub-space, from networks that others have trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.evaluators._batch import BatchEvaluator, Evaluations
from mobilenas.evaluators._error_model import ErrorModel
from mobilenas.evaluators.evaluator import Evaluation
from mobilenas.settings import Settings, check
from mobilenas.spaces import CompiledCosts
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace
from mobilenas.storage import read_json

FILE = Path(__file__).with_suffix(".json")
MEANING = "predicted ImageNet top-1 after a reduced training schedule: it ranks, and is not what full training gives"


@dataclass(frozen=True, kw_only=True)
class SurrogateFile(Settings):
    """`imagenet_surrogate.json`, as `benchmarks/fit_surrogate.py` writes it.

    Attributes:
        source, licence: Of the data.
        fitted: ISO date.
        model: Gives accuracy.
        sigma: Standard deviation of log(ceiling - accuracy), from held-out networks.
        sigma_extrapolated: The same beyond the range of multiply-adds of the training networks.
        least_macs, most_macs: That range.
        held_out_rmse, held_out_tau: On networks that took no part in the fit: accuracy in [0, 1], Kendall's tau.
        held_out_networks, training_networks: How many.

    Raises:
        FieldError: If a value is not accepted.
    """

    source: str
    licence: str
    fitted: str
    model: ErrorModel
    sigma: float
    sigma_extrapolated: float
    least_macs: int
    most_macs: int
    held_out_rmse: float
    held_out_tau: float
    held_out_networks: int
    training_networks: int

    def __post_init__(self) -> None:
        check(self.sigma > 0, "sigma", self.sigma, "a number above 0")
        check(self.sigma_extrapolated > 0, "sigma_extrapolated", self.sigma_extrapolated, "a number above 0")
        check(0 < self.least_macs <= self.most_macs, "least_macs", self.least_macs, "at most most_macs")

    @classmethod
    def from_dict(cls, data: object, *, where: str = "") -> Self:
        """Reads the plain values of the file.

        Raises:
            InputError: If a field is unknown or missing, or a value is not accepted.
        """
        if isinstance(data, Mapping) and "model" in data:
            data = {**data, "model": ErrorModel.from_dict(data["model"], where="model")}
        return super().from_dict(data, where=where)

    @classmethod
    def shipped(cls) -> Self:
        """The file that comes with the package."""
        return cls.from_dict(read_json(FILE, "surrogate"), where=FILE.name)


class ImageNetSurrogate(BatchEvaluator):
    """Ranks networks of `mnasnet_proxy` at 224 pixels and 1000 classes.

    A ridge regression on the 4,000 networks that Accel-NASBench trained on ImageNet with a reduced schedule. `std` says
    how far off it was on held-out networks; it is larger beyond the multiply-adds of the training networks, where
    `detail` says "extrapolated".

    Args:
        file: The fitted model; by default the one that comes with the package.

    Source: data: Accel-NASBench, arXiv 2404.08005; fit: `benchmarks/fit_surrogate.py`.
    Differs from the paper: its own surrogates are gradient-boosted trees.
    """

    needs_data = False

    def __init__(self, file: SurrogateFile | None = None) -> None:
        self._file = file or SurrogateFile.shipped()

    @cached_property
    def space(self) -> MnasNetProxySpace:
        """The only space that it covers."""
        return MnasNetProxySpace()

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which fit it is, and what its accuracies mean."""
        return {"evaluator": "imagenet_surrogate", "fitted": self._file.fitted, "meaning": MEANING}

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """Looks a network up; `seed` has no effect.

        Raises:
            InputError: If the network is none of its space.
        """
        genotype = self.space.find(arch)
        if genotype is None:
            raise InputError(
                f"the ImageNet surrogate does not know {arch.name}: it covers {self.space.name} at "
                f"{self.space.resolution} pixels and {self.space.num_classes} classes; give --space {self.space.name}, "
                "or --evaluator short_training --data DATA"
            )
        found = self.evaluate_batch([genotype])
        return Evaluation(
            accuracy=float(found.accuracy[0]),
            std=float(found.std[0]),
            detail="extrapolated" if found.extrapolated[0] else "",
        )

    def evaluate_batch(self, genotypes: npt.ArrayLike) -> Evaluations:
        """Evaluates networks of `space`.

        Args:
            genotypes: Valid choices, shape (N, 28).
        """
        array, file = np.atleast_2d(np.asarray(genotypes, np.intp)), self._file
        macs = self._costs.macs(array)
        accuracy = file.model.accuracy(array, macs.astype(float), self._costs.params(array).astype(float))
        extrapolated = (macs < file.least_macs) | (macs > file.most_macs)
        sigma = np.where(extrapolated, file.sigma_extrapolated, file.sigma)
        return Evaluations(accuracy, sigma * (file.model.ceiling - accuracy), extrapolated)

    @cached_property
    def _costs(self) -> CompiledCosts:
        return CompiledCosts(self.space)
