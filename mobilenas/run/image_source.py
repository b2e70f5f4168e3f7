"""ImageSource: networks are trained on images."""

from mobilenas.arch import Arch
from mobilenas.evaluators import Evaluator
from mobilenas.run.folder import RunFolder
from mobilenas.run.settings import SearchSettings
from mobilenas.run.source import Exported, Note, Source
from mobilenas.run.winner import train_and_export
from mobilenas.runners.host import wait_while_host_is_measured
from mobilenas.training import default_recipe, load_data


class ImageSource(Source):
    """Trials are trained for a few epochs, the winner in full.

    Args:
        settings: The search's settings, with data.
        evaluator: The class of its evaluator.

    Raises:
        InputError: If the images cannot be read.
    """

    needs_device = True

    def __init__(self, settings: SearchSettings, evaluator: type[Evaluator]) -> None:
        self._settings, self._evaluator = settings, evaluator
        self._data = load_data(settings.data or "", resolution=settings.resolution, seed=settings.seed)
        self.resolution, self.num_classes = self._data.resolution, self._data.num_classes
        self.name = f"{settings.evaluator} on {self._data.name}"

    def evaluator(self) -> Evaluator:
        """Trains every network of the search."""
        recipe = default_recipe(len(self._data.train), self._data.resolution, self._settings.trial_epochs)
        return self._evaluator.for_search(self._data, recipe, pause=wait_while_host_is_measured)

    def export(self, folder: RunFolder, name: str, arch: Arch, *, dtype: str, seed: int, note: Note) -> Exported:
        """Trains the winner, once for all dtypes, and holds its file against torch on held-out images.

        Raises:
            InputError: If the training diverged, or the folder cannot be written.
        """
        recipe = default_recipe(len(self._data.train), self._data.resolution, self._settings.final_epochs)
        note(f"training the winner for {recipe.epochs} epochs")
        return train_and_export(
            folder,
            name,
            arch,
            self._data,
            recipe,
            seed=seed,
            dtype=dtype,
            max_drop=self._settings.max_drop,
            pause=wait_while_host_is_measured,
        )
