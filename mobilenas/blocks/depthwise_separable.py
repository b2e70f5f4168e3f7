"""Depthwise-separable convolution."""

from dataclasses import dataclass
from typing import Self

from mobilenas.blocks._skip import Skip, add_skip
from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.blocks.squeeze_excite import Gate, add_squeeze_excite
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef


@dataclass(frozen=True, kw_only=True)
class DepthwiseSeparable(Block):
    """Depthwise k x k, (squeeze-and-excitation), pointwise 1x1; batch norm after both.

    Residual when the stride is 1 and the channels agree, unless `residual` is False.

    Source: MobileNetV1, arXiv 1704.04861, section 3.1; linear pointwise and skip as in MnasNet's SepConv,
    arXiv 1807.11626, figure 7.
    Differs from the paper: MobileNetV1 activates after the pointwise convolution; here `pointwise_activation` says so.
    """

    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    activation: ActivationName = "relu"
    pointwise_activation: ActivationName = "none"
    se_channels: int = 0
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"
    residual: Skip = True

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_channels("se_channels", self.se_channels, least=0)
        check_window(self.kernel_size, self.stride)

    @classmethod
    def from_ratios(
        cls,
        *,
        in_channels: int,
        out_channels: int,
        se_ratio: float = 0.0,
        kernel_size: int = 3,
        stride: int = 1,
        activation: ActivationName = "relu",
        residual: Skip = True,
    ) -> Self:
        """The block with `se_ratio` of the input's channels, rounded to a whole number of at least 1."""
        return cls(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            activation=activation,
            se_channels=max(1, int(in_channels * se_ratio)) if se_ratio else 0,
            residual=residual,
        )

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = graph.depthwise_conv2d(
            x, name="depthwise", kernel_size=self.kernel_size, stride=self.stride, activation=self.activation
        )
        y = add_squeeze_excite(graph, y, self.se_channels, self.se_gate, self.se_activation)
        y = graph.conv2d(y, self.out_channels, name="pointwise", activation=self.pointwise_activation)
        return add_skip(graph, x, y, self.residual, self.stride)
