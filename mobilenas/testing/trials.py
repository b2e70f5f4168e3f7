"""Trials for tests."""

from mobilenas.history import Trial
from mobilenas.spaces import Genotype


def make_trial(
    index: int,
    *,
    genotype: Genotype | None = None,
    accuracy: float | None = 0.5,
    reward: float | None = None,
    latency_ms: float = 2.0,
    macs: int = 300_000_000,
    params: int = 4_000_000,
) -> Trial:
    """A trial.

    Args:
        index: Its place in the history.
        genotype: Its genotype; by default one that is different for every index below 65,536.
        accuracy: In [0, 1]; None if it failed.
        reward: Its reward; by default the accuracy.
        latency_ms: Its latency; the interval is 10 % around it.
        macs: Its multiply-adds.
        params: Its parameters.
    """
    return Trial(
        index=index,
        genotype=(index % 256, index // 256 % 256, 1) if genotype is None else genotype,
        status="failed" if accuracy is None else "ok",
        accuracy=accuracy,
        reward=accuracy if reward is None else reward,
        latency_ms=latency_ms,
        low_ms=0.9 * latency_ms,
        high_ms=1.1 * latency_ms,
        macs=macs,
        params=params,
        seed=index,
    )
