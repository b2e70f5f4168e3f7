"""Fused MBConv: the inverted bottleneck with one regular convolution in place of expansion and depthwise."""

from dataclasses import dataclass

from mobilenas.blocks._bottleneck import Bottleneck
from mobilenas.blocks._skip import add_skip
from mobilenas.blocks.squeeze_excite import add_squeeze_excite
from mobilenas.graph import GraphBuilder, TensorRef


@dataclass(frozen=True, kw_only=True)
class FusedMBConv(Bottleneck):
    """k x k expansion, (squeeze-and-excitation), linear 1x1 projection; batch norm after both.

    With `expanded_channels` 0 it is one k x k convolution to `out_channels` with activation. Residual when the stride
    is 1 and the channels agree, unless `residual` is False.

    Source: Gupta and Tan, "EfficientNet-EdgeTPU", Google AI blog, 2019; EfficientNetV2, arXiv 2104.00298, figure 2;
    without squeeze-and-excitation: MobileNetV4, arXiv 2404.10518, table 11.
    Differs from the paper: nothing.
    """

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
        y = add_squeeze_excite(graph, y, self.se_channels, self.se_gate, self.se_activation)
        if self.expanded_channels:
            y = graph.conv2d(y, self.out_channels, name="project")
        return add_skip(graph, x, y, self.residual, self.stride)
