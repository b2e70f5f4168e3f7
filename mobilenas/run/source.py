"""Source: where a search's accuracies come from, and what its winner becomes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.evaluators import EVALUATORS, BatchEvaluator, Evaluator
from mobilenas.run.folder import RunFolder
from mobilenas.run.settings import SearchSettings
from mobilenas.verification import Report

Note = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """A winner as a file.

    Attributes:
        model: The exported file.
        report: The gate's checks.
        test_accuracy: Of the trained network on held-out images, by torch, [0, 1]; None if it was not trained.
        exported_accuracy: Of the file on the same images, by LiteRT.
        agreement: Share of the images on which both name the same class.
    """

    model: bytes
    report: Report
    test_accuracy: float | None = None
    exported_accuracy: float | None = None
    agreement: float | None = None


class Source(ABC):
    """What a search has besides a device.

    Attributes:
        resolution: Input size of its networks; None leaves it to the space.
        num_classes: Their number of classes.
        name: What accuracies come from.
        meaning: What they are not, where that must be said.
        needs_device: Whether a search that the device does not answer ends, instead of trusting predictions.
    """

    resolution: int | None
    num_classes: int
    name: str
    meaning: str = ""
    needs_device: bool

    @abstractmethod
    def evaluator(self) -> Evaluator:
        """The evaluator of the search."""

    @abstractmethod
    def export(self, folder: RunFolder, name: str, arch: Arch, *, dtype: str, seed: int, note: Note) -> Exported:
        """Makes the winner's file.

        Args:
            folder: The run's folder.
            name: Of the winner's checkpoint.
            arch: The winner.
            dtype: Element type of the file.
            seed: Of its training.
            note: Told of what happens.
        """


def open_source(settings: SearchSettings) -> Source:
    """The source that a search's settings name.

    Raises:
        InputError: If the evaluator is not known, has no use for workers, needs images and there are none or the other
            way round, or the images cannot be read.
    """
    chosen = EVALUATORS[settings.evaluator]
    if issubclass(chosen, BatchEvaluator) and (settings.workers is not None or settings.ray is not None):
        raise InputError(
            f"the evaluator {settings.evaluator} answers thousands of networks a second by itself; "
            "leave out --workers and --ray"
        )
    if chosen.needs_data:
        if settings.data is None:
            raise InputError(
                f"the evaluator {settings.evaluator} trains on images; give --data DATA, or leave out --evaluator"
            )
        from mobilenas.run.image_source import ImageSource  # here, since it loads torch

        return ImageSource(settings, chosen)
    if settings.data is not None:
        raise InputError(f"the evaluator {settings.evaluator} takes no images; leave out --data or --evaluator")
    from mobilenas.run.known_source import KnownSource

    return KnownSource(settings, chosen)
