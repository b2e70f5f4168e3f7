"""CachedEvaluator: no network is evaluated twice."""

from mobilenas.arch import Arch
from mobilenas.evaluators.evaluator import Evaluation, Evaluator


class CachedEvaluator:
    """Answers for networks that compute the same from memory; the first evaluation, with the first seed, stands.

    Args:
        evaluator: Asked for new networks.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._known: dict[str, Evaluation] = {}

    def __contains__(self, arch: Arch) -> bool:
        return arch.canonical in self._known

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """The evaluation of `arch`."""
        if arch.canonical not in self._known:
            self._known[arch.canonical] = self._evaluator(arch, seed=seed)
        return self._known[arch.canonical]

    def prime(self, arch: Arch, evaluation: Evaluation) -> None:
        """Takes over an evaluation of an earlier run."""
        self._known.setdefault(arch.canonical, evaluation)
