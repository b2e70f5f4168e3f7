"""What a search aims at: rewards that weigh accuracy against latency, and the set of networks that meet the target."""

from mobilenas.objectives.feasible import FeasibleSet
from mobilenas.objectives.reward import AbsoluteReward, Reward, WeightedProductReward

__all__ = ["AbsoluteReward", "FeasibleSet", "Reward", "WeightedProductReward"]
