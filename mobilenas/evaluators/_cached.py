"""CachedEvaluator: no network is evaluated twice."""

import json
from collections.abc import Mapping

from mobilenas.arch import Arch
from mobilenas.evaluators.evaluator import Evaluation, Evaluator


class CachedEvaluator(Evaluator):
    """Answers for networks that compute the same from memory; the first evaluation, with the first seed, stands.

    What is known belongs to the evaluator's settings of that moment: under others it is asked again.

    Args:
        evaluator: Asked for new networks.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._known: dict[tuple[str, str], Evaluation] = {}

    @property
    def settings(self) -> Mapping[str, object]:
        """Those of the evaluator that is asked."""
        return self.evaluator.settings

    def __contains__(self, arch: Arch) -> bool:
        return self._key(arch) in self._known

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """The evaluation of `arch`; `seed` matters for a new network only."""
        key = self._key(arch)
        if key not in self._known:
            self._known[key] = self.evaluator(arch, seed=seed)
        return self._known[key]

    def prime(self, arch: Arch, evaluation: Evaluation) -> None:
        """Takes over an evaluation of an earlier run with the same settings; one that is known already stands."""
        self._known.setdefault(self._key(arch), evaluation)

    def _key(self, arch: Arch) -> tuple[str, str]:
        return arch.canonical, json.dumps(self.settings, sort_keys=True)
