"""An OpGraph as a torch module. Needs the extra `train`."""

from mobilenas.nn import _requirements as _requirements
from mobilenas.nn.graph_module import GraphModule
from mobilenas.nn.inference import outputs
from mobilenas.nn.initialization import initialize
from mobilenas.nn.ranges import observed_ranges
from mobilenas.nn.weights import load_weights, save_weights, set_weights, state_arrays

__all__ = [
    "GraphModule",
    "initialize",
    "load_weights",
    "observed_ranges",
    "outputs",
    "save_weights",
    "set_weights",
    "state_arrays",
]
