"""Where accuracy comes from: one evaluator a file, named as `--evaluator`. Loads torch only with the evaluator that needs
it."""

from mobilenas.evaluators.cached_evaluator import CachedEvaluator
from mobilenas.evaluators.evaluator import Evaluation, Evaluator

__all__ = ["CachedEvaluator", "Evaluation", "Evaluator"]
