"""A convolution with batch norm and activation."""

from dataclasses import dataclass

from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef


@dataclass(frozen=True, kw_only=True)
class ConvBnAct(Block):
    """k x k convolution, batch norm, activation; never residual. The stem of every network here."""

    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    activation: ActivationName = "relu"

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_window(self.kernel_size, self.stride)

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        return graph.conv2d(
            x,
            self.out_channels,
            name="conv",
            kernel_size=self.kernel_size,
            stride=self.stride,
            activation=self.activation,
        )
