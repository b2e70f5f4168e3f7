"""Fused MBConv: the inverted bottleneck with one regular convolution in place of expansion and depthwise."""

from dataclasses import dataclass

from mobilenas.blocks._skip import Skip, add_skip
from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.blocks.squeeze_excite import Gate, SqueezeExcite
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef


@dataclass(frozen=True, kw_only=True)
class FusedMBConv(Block):
    """k x k expansion, (squeeze-and-excitation), linear 1x1 projection; batch norm after both.

    With `expanded_channels` 0 it is one k x k convolution to `out_channels` with activation. Residual when the stride
    is 1 and the channels agree, unless `residual` is False.

    Source: Gupta and Tan, "EfficientNet-EdgeTPU", Google AI blog, 2019; EfficientNetV2, arXiv 2104.00298, figure 2;
    without squeeze-and-excitation: MobileNetV4, arXiv 2404.10518, table 11.
    Differs from the paper: nothing.
    """

    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    expanded_channels: int = 0
    se_channels: int = 0
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"
    activation: ActivationName = "relu"
    residual: Skip = True

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_channels("expanded_channels", self.expanded_channels, least=0)
        check_channels("se_channels", self.se_channels, least=0)
        check_window(self.kernel_size, self.stride)

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = graph.conv2d(
            x,
            self.expanded_channels or self.out_channels,
            name="expand",
            kernel_size=self.kernel_size,
            stride=self.stride,
            activation=self.activation,
        )
        if self.se_channels:
            se = SqueezeExcite(se_channels=self.se_channels, se_gate=self.se_gate, se_activation=self.se_activation)
            with graph.scope("se"):
                y = se.emit(graph, y)
        if self.expanded_channels:
            y = graph.conv2d(y, self.out_channels, name="project")
        return add_skip(graph, x, y, self.residual, self.stride)
