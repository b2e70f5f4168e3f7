"""What a search aims at: rewards that weigh accuracy against latency, and the set of networks that meet the bounds."""

from mobilenas.objectives.bound import Bound
from mobilenas.objectives.bounds import Bounds
from mobilenas.objectives.cost_bound import COST_BOUNDS, COST_COLUMNS, CostBound
from mobilenas.objectives.feasible import FeasibleSet
from mobilenas.objectives.latency_bound import DEFAULT_RISK, LatencyBound
from mobilenas.objectives.reward import AbsoluteReward, Reward, StrictReward, WeightedProductReward

__all__ = [
    "COST_BOUNDS",
    "COST_COLUMNS",
    "DEFAULT_RISK",
    "AbsoluteReward",
    "Bound",
    "Bounds",
    "CostBound",
    "FeasibleSet",
    "LatencyBound",
    "Reward",
    "StrictReward",
    "WeightedProductReward",
]
