"""Progress: how far the trials of a search are."""

from dataclasses import dataclass

from mobilenas.history import Trial


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known while a search is under way.

    Attributes:
        evaluated: Distinct evaluations so far, those of an earlier process included.
        planned: How many there will be.
        fresh: Of those so far, the ones that this process made.
        seconds: Since this process made its first.
        best: The most accurate trial so far, if one did not fail.
        feasible_share: Share of the space's networks that meet all bounds, [0, 1], from a sample.
    """

    evaluated: int
    planned: int
    fresh: int
    seconds: float
    best: Trial | None
    feasible_share: float

    @property
    def a_second(self) -> float | None:
        """Evaluations a second; None where there were none yet."""
        return self.fresh / self.seconds if self.fresh and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Until the last evaluation, at the pace so far; None where there was none yet."""
        return (self.planned - self.evaluated) / self.a_second if self.a_second else None

    @property
    def feasible(self) -> str:
        """The feasible share as text."""
        return feasible_text(self.feasible_share)


def feasible_text(share: float) -> str:
    """A share of the space as two digits of a percentage; 0 is a share that the sample was too small for."""
    return (
        f"{float(f'{100 * share:.2g}'):g} % of the space feasible" if share else "almost nothing of the space feasible"
    )
