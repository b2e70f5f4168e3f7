"""Candidates: which trials are measured, and which of them is the winner."""

from mobilenas.arch import Arch
from mobilenas.errors import TargetError
from mobilenas.export import random_weights, write_tflite
from mobilenas.history import Trial
from mobilenas.run.folder import RunFolder
from mobilenas.run.measuring import measure_interleaved
from mobilenas.run.result import Measured
from mobilenas.run.source import Note
from mobilenas.run.trials import TrialLoop
from mobilenas.runners import Device
from mobilenas.spaces import Genotype, SearchSpace

NEAR_ACCURACY = 0.005
"""Half a point: trials that are no further behind the best are near-winners."""
NEAR_WINNERS = 3
"""So many are measured in one go, the best included."""


class Candidates:
    """Measures near-winners in turn with each other: which of them is best depends on their latency too.

    Latency does not depend on weights, so they are measured before any is trained. Every measurement is journalled, so
    that a resumed run decides the same.

    Args:
        folder: The run's folder.
        loop: Its trials; corrected where a candidate misses the target.
        space: Its space.
        device: Where they are measured.
        dtype: Element type of their files.
        note: Told of every measurement.

    Attributes:
        measured: What was measured so far, by genotype.
    """

    def __init__(
        self, folder: RunFolder, loop: TrialLoop, space: SearchSpace, device: Device, *, dtype: str, note: Note
    ) -> None:
        self._folder, self._loop, self._space, self._device = folder, loop, space, device
        self._dtype, self._note = dtype, note
        self._target_ms = folder.settings.target_ms
        self.measured: dict[Genotype, Measured] = {}
        self._trials: dict[Genotype, Trial] = {}

    def next(self) -> list[Trial]:
        """The best trial that was not measured yet, and its near-winners; none if there is none.

        Two genotypes of one network are one candidate.
        """
        leaders = self._loop.leaders(excluded=self.measured)
        found: dict[str, Trial] = {}
        for trial in leaders:
            if (leaders[0].accuracy or 0.0) - (trial.accuracy or 0.0) > NEAR_ACCURACY or len(found) == NEAR_WINNERS:
                break
            found.setdefault(self._space.decode(trial.genotype).canonical, trial)
        return list(found.values())

    def measure(self, trials: list[Trial]) -> list[Trial]:
        """Measures trials in one go; gives those that meet the target, the one that earns most at its latency first.

        Raises:
            DeviceError: If the device fails or refuses one of them.
        """
        indices = " ".join(str(trial.index) for trial in trials)
        key = f"candidate {indices}" if len(trials) == 1 else f"candidates {indices}"
        found = measure_interleaved(self._folder, key, self._device, [self._network(trial) for trial in trials])
        for trial, measured in zip(trials, found, strict=True):
            self.measured[trial.genotype], self._trials[trial.genotype] = measured, trial
            self._note(
                f"candidate trial {trial.index + 1}: predicted {trial.latency_ms:.3g} ms, "
                f"measured {measured.latency_ms:.3g} ms, target {self._target_ms:g} ms"
            )

        def rank(trial: Trial) -> tuple[float, float, int]:
            latency_ms = self.measured[trial.genotype].latency_ms
            return -self._loop.reward(trial.accuracy or 0.0, latency_ms), latency_ms, trial.index

        return sorted((trial for trial in trials if not self.misses(trial)), key=rank)

    def misses(self, trial: Trial) -> bool:
        """Whether a measured trial takes longer than the target."""
        return self.measured[trial.genotype].latency_ms > self._target_ms

    def correct(self, trials: list[Trial]) -> None:
        """Corrects predictions by those of the trials that missed the target."""
        factors = [
            self.measured[trial.genotype].latency_ms / trial.latency_ms for trial in trials if self.misses(trial)
        ]
        self._loop.correction = max([self._loop.correction, *factors])
        self._note(f"the target was missed; predictions are corrected by {self._loop.correction:.3f}")

    def missed(self) -> tuple[Trial, TargetError]:
        """The fastest candidate, and what is said where none meets the target."""
        genotype = min(self.measured, key=lambda each: self.measured[each].latency_ms)
        nearest = self.measured[genotype].latency_ms
        return self._trials[genotype], TargetError(
            f"target {self._target_ms:g} ms on {self._device.name} was not met: the nearest of {len(self.measured)} "
            f"measured candidates takes {nearest:.3g} ms; start a new run with --target-ms "
            f"{float(f'{1.05 * nearest:.2g}'):g} or more --trials"
        )

    def _network(self, trial: Trial) -> tuple[Arch, bytes]:
        arch = self._space.decode(trial.genotype)
        graph = arch.graph()
        return arch, write_tflite(graph, random_weights(graph), dtype=self._dtype)
