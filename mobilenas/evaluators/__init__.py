"""Where accuracy comes from: one evaluator a file, named as `--evaluator`.

A look-up in `EVALUATORS` imports that evaluator's file; torch is loaded only by those that need it.
"""

from mobilenas.evaluators._batch import BatchEvaluator, Evaluations
from mobilenas.evaluators._cached import CachedEvaluator
from mobilenas.evaluators._tabular import TabularEvaluator
from mobilenas.evaluators.evaluator import Evaluation, Evaluator
from mobilenas.registry import Registry

EVALUATORS: Registry[Evaluator] = Registry("mobilenas.evaluators", Evaluator, "evaluator")

__all__ = [
    "EVALUATORS",
    "BatchEvaluator",
    "CachedEvaluator",
    "Evaluation",
    "Evaluations",
    "Evaluator",
    "TabularEvaluator",
]
