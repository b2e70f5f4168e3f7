"""What a run has found: trials, the file that keeps them, the Pareto front."""

from mobilenas.history.history import History
from mobilenas.history.pareto import Third, pareto_front, write_pareto_csv
from mobilenas.history.trial import Trial

__all__ = ["History", "Third", "Trial", "pareto_front", "write_pareto_csv"]
