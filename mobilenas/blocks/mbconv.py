"""MBConv: the mobile inverted bottleneck."""

from dataclasses import dataclass
from typing import Self

from mobilenas.blocks._bottleneck import Bottleneck
from mobilenas.blocks._skip import Skip, add_skip
from mobilenas.blocks.squeeze_excite import Gate, add_squeeze_excite
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef


@dataclass(frozen=True, kw_only=True)
class MBConv(Bottleneck):
    """1x1 expansion, depthwise k x k, (squeeze-and-excitation), linear 1x1 projection; batch norm after all three.

    `expanded_channels` is an explicit count, so that pruned networks are exact: 0 or the input's channels mean no
    expansion convolution; any other count, smaller ones too, is a real convolution. Residual when the stride is 1 and
    the channels agree, unless `residual` is False.

    Source: MobileNetV2, arXiv 1801.04381, table 1; with squeeze-and-excitation: MnasNet, arXiv 1807.11626, figure 7,
    and MobileNetV3, arXiv 1905.02244, section 5.
    Differs from the paper: nothing.
    """

    @classmethod
    def from_ratios(
        cls,
        *,
        in_channels: int,
        out_channels: int,
        expand_ratio: float,
        se_ratio: float = 0.0,
        kernel_size: int = 3,
        stride: int = 1,
        se_gate: Gate = "sigmoid",
        se_activation: ActivationName = "relu",
        activation: ActivationName = "relu",
        residual: Skip = True,
    ) -> Self:
        """The block with `expand_ratio` and `se_ratio` of the input's channels.

        Source: rounding as in the MnasNet and EfficientNet references: int(ratio * channels), at least 1.
        """
        return cls(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            expanded_channels=0 if expand_ratio == 1 else int(in_channels * expand_ratio),
            se_channels=max(1, int(in_channels * se_ratio)) if se_ratio else 0,
            se_gate=se_gate,
            se_activation=se_activation,
            activation=activation,
            residual=residual,
        )

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = x
        if self.expanded_channels not in (0, x.channels):
            y = graph.conv2d(y, self.expanded_channels, name="expand", activation=self.activation)
        y = graph.depthwise_conv2d(
            y, name="depthwise", kernel_size=self.kernel_size, stride=self.stride, activation=self.activation
        )
        y = add_squeeze_excite(graph, y, self.se_channels, self.se_gate, self.se_activation)
        y = graph.conv2d(y, self.out_channels, name="project")
        return add_skip(graph, x, y, self.residual, self.stride)
