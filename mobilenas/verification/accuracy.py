"""What a file loses on labelled images."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mobilenas.settings import check
from mobilenas.verification.report import Check

if TYPE_CHECKING:
    from mobilenas.training import Split

INT8_AGREEMENT = 0.9
"""Share of real images on which an int8 file must name the class that torch names: what disagrees beyond is broken."""
FLOAT_AGREEMENT = 0.99
"""The same for the other dtypes: near a tie the last digits decide."""
MAX_DROP = 0.01
"""Accuracy that an int8 file may lose unless another bound is given: one point."""
MOST_IMAGES = 5000
"""Held-out images that a file is judged on: a point of accuracy is fifty of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Held-out images.

    Attributes:
        images: Normalised, shape (N, height, width, 3).
        labels: Class of each, shape (N,).
        max_drop: How far below torch's accuracy the file's may be, in [0, 1].

    Raises:
        FieldError: If `max_drop` is not accepted.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.integer]
    max_drop: float = MAX_DROP

    def __post_init__(self) -> None:
        check_drop(self.max_drop)


def check_drop(max_drop: float) -> None:
    """Raises `FieldError` for accuracy that cannot be lost."""
    check(0 <= max_drop < 1, "max_drop", max_drop, "a share of the images, from 0 to below 1")


def held_out(split: "Split", max_drop: float = MAX_DROP) -> Labelled:
    """The images of a split, 5,000 drawn at random where there are more.

    Raises:
        InputError: If an image cannot be read or `max_drop` is not accepted.
    """
    places = np.sort(np.random.default_rng(0).permutation(len(split))[:MOST_IMAGES])
    images, labels = split.subset(places).arrays()
    return Labelled(images=images, labels=labels, max_drop=max_drop)


def accuracy_checks(
    exported: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    labelled: Labelled,
    dtype: str,
    *,
    fine_tuned: bool = False,
) -> list[Check]:
    """Top-1 agreement with torch, and accuracy lost.

    An int8 file must name torch's class on nine of ten images. One that was fine-tuned may have learnt to name others:
    it must be no less accurate then, and torch beyond chance, since worthless weights lose to any file.

    Args:
        exported: Scores of the file, shape (N, classes).
        reference: Scores of torch, the same shape.
        labelled: The images' labels, and what may be lost.
        dtype: Element type of the file.
        fine_tuned: Whether it was trained on in int8.
    """
    count = len(labelled.labels)
    found, wanted = exported.reshape(count, -1).argmax(1), reference.reshape(count, -1).argmax(1)
    same = int((found == wanted).sum())
    accuracies = [int((classes == labelled.labels).sum()) / count for classes in (found, wanted)]
    lost = accuracies[1] - accuracies[0]
    least = INT8_AGREEMENT if dtype == "int8" else FLOAT_AGREEMENT
    guessing = _is_chance(accuracies[1], labelled.labels)
    unless = ", unless no accuracy is lost to trained weights" if fine_tuned else ""
    agrees = same >= least * count or (fine_tuned and lost <= 0 and not guessing)
    remark = " (no better than chance: are these the trained weights?)" if guessing else ""
    return [
        Check("top-1 agreement", agrees, f"{same} of {count} images", f"at least {100 * least:g} %{unless}"),
        Check(
            "accuracy",
            lost <= labelled.max_drop + 1e-9,
            f"{accuracies[0]:.4f}, torch {accuracies[1]:.4f}{remark}",
            f"at most {labelled.max_drop:g} lost",
        ),
    ]


def _is_chance(accuracy: float, labels: npt.NDArray[np.integer]) -> bool:
    """Whether always naming the most common class would be as accurate, but for three standard errors."""
    usual = float(np.unique(labels, return_counts=True)[1].max()) / len(labels)
    return accuracy < 1 and accuracy <= usual + 3 * math.sqrt(usual * (1 - usual) / len(labels))
