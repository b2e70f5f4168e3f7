"""An OpGraph as a torch module. Needs the extra `train`."""

from mobilenas.extras import require

require("torch", "train")

from mobilenas.nn.graph_module import GraphModule  # noqa: E402  # torch is there from here on
from mobilenas.nn.initialization import initialize  # noqa: E402
from mobilenas.nn.weights import load_weights, outputs, save_weights, set_weights, state_arrays  # noqa: E402

__all__ = ["GraphModule", "initialize", "load_weights", "outputs", "save_weights", "set_weights", "state_arrays"]
