"""Squeeze-and-excitation: channels weighted by what the whole feature map says."""

from dataclasses import dataclass
from typing import Literal

from mobilenas.blocks.block import Block, check_channels
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef

Gate = Literal["sigmoid", "hard_sigmoid"]


@dataclass(frozen=True, kw_only=True)
class SqueezeExcite(Block):
    """Mean, 1x1 convolution to `se_channels`, activation, 1x1 convolution back, gate, product with the input.

    Both convolutions have a bias and no batch norm.

    Source: Hu et al., arXiv 1709.01507, section 3; as part of MBConv: MobileNetV3, arXiv 1905.02244, section 5.3.
    Differs from the paper: nothing; 1x1 convolutions compute what its fully connected layers do.
    """

    se_channels: int
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"

    def __post_init__(self) -> None:
        check_channels("se_channels", self.se_channels)

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = graph.mean(x, name="squeeze")
        y = graph.conv2d(y, self.se_channels, name="reduce", activation=self.se_activation, batch_norm=False, bias=True)
        y = graph.conv2d(y, x.channels, name="expand", batch_norm=False, bias=True)
        y = graph.activation(y, self.se_gate, name="gate")
        return graph.mul(x, y, name="scale")


def add_squeeze_excite(
    graph: GraphBuilder, x: TensorRef, se_channels: int, se_gate: Gate, se_activation: ActivationName
) -> TensorRef:
    """Squeeze-and-excitation inside a block, in a scope `se`; nothing where `se_channels` is 0."""
    if not se_channels:
        return x
    with graph.scope("se"):
        return SqueezeExcite(se_channels=se_channels, se_gate=se_gate, se_activation=se_activation).emit(graph, x)
