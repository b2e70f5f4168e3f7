"""KnownSource: accuracies are known without images. No torch."""

from mobilenas.arch import Arch
from mobilenas.evaluators import Evaluator
from mobilenas.export import random_weights, write_tflite
from mobilenas.run.folder import RunFolder
from mobilenas.run.settings import SearchSettings
from mobilenas.run.source import Exported, Note, Source
from mobilenas.verification import inspect_file

IMAGENET_CLASSES = 1000


class KnownSource(Source):
    """An evaluator that trains nothing; the winner's file has random weights.

    Args:
        settings: The search's settings, without data.
        evaluator: The class of its evaluator.
    """

    needs_device = False

    def __init__(self, settings: SearchSettings, evaluator: type[Evaluator]) -> None:
        self.resolution, self.num_classes = settings.resolution, IMAGENET_CLASSES
        self.name = settings.evaluator
        self._evaluator = evaluator()
        self.meaning = str(self._evaluator.settings.get("meaning", ""))

    def evaluator(self) -> Evaluator:
        """The evaluator itself."""
        return self._evaluator

    def export(self, folder: RunFolder, name: str, arch: Arch, *, dtype: str, seed: int, note: Note) -> Exported:
        """Writes the winner with random weights: its latency is that of the trained network, its classes are not.

        Raises:
            InputError: If the network is too large for a file.
            VerificationError: If LiteRT does not load it.
        """
        note("the winner was not trained: its file has random weights, good for measuring latency and nothing else")
        graph = arch.graph()
        weights = random_weights(graph)
        model = write_tflite(graph, weights, dtype=dtype, description=f"mobilenas {arch.name}, UNTRAINED weights")
        return Exported(model, inspect_file(model, graph, dtype=dtype))
