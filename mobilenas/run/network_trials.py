"""NetworkTrials: the trial of one network, from its graph."""

from mobilenas.arch import Arch
from mobilenas.evaluators import Evaluation
from mobilenas.history import Trial
from mobilenas.latency import LatencyPredictor
from mobilenas.objectives import Reward
from mobilenas.spaces import Genotype


class NetworkTrials:
    """Makes trials of evaluations.

    Args:
        predictor: Latency.
        reward: What networks earn.
        target_ms: The target.
    """

    def __init__(self, predictor: LatencyPredictor, reward: Reward, *, target_ms: float) -> None:
        self._predictor, self._reward, self._target_ms = predictor, reward, target_ms

    def __call__(
        self, index: int, genotype: Genotype, arch: Arch, evaluation: Evaluation, *, seed: int, cached: bool
    ) -> Trial:
        """Trial `index` of a run.

        Args:
            index: Its place in the history.
            genotype: The proposal.
            arch: Its network.
            evaluation: What became of it.
            seed: Of the evaluation.
            cached: Whether the evaluation was known before.
        """
        graph = arch.graph()
        latency = self._predictor.predict(graph)
        fine = evaluation.status == "ok"
        return Trial(
            index=index,
            genotype=genotype,
            status=evaluation.status,
            accuracy=evaluation.accuracy if fine else None,
            accuracy_std=evaluation.std,
            latency_ms=latency.ms,
            low_ms=latency.low_ms,
            high_ms=latency.high_ms,
            macs=graph.macs,
            params=graph.params,
            reward=float(self._reward(evaluation.accuracy, latency.ms, self._target_ms)) if fine else None,
            seed=seed,
            seconds=evaluation.seconds,
            cached=cached,
            detail=evaluation.detail,
        )

    @staticmethod
    def evaluation(trial: Trial) -> Evaluation:
        """The evaluation that a trial was made of."""
        return Evaluation(
            accuracy=trial.accuracy or 0.0,
            std=trial.accuracy_std,
            status=trial.status,
            seconds=trial.seconds,
            detail=trial.detail,
        )
