"""The head of MobileNetV3: pool before the last expansion."""

from dataclasses import dataclass

from mobilenas.blocks.block import check_channels
from mobilenas.blocks.heads.head import Head
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef
from mobilenas.settings import check


@dataclass(frozen=True, kw_only=True)
class PoolConvLinear(Head):
    """Convolution, mean, a second convolution on the pooled features, (dropout), classifier with bias.

    The first is 1x1 with batch norm to `expanded_channels`, the second 1x1 with bias and no batch norm, unless told
    otherwise, to `out_channels`; `activation` after both.

    Source: MobileNetV3, arXiv 1905.02244, section 5.1 and figure 5; `bias=False`: Once-for-All; and `batch_norm`:
    MobileNetV4, arXiv 2404.10518, table 10.
    """

    expanded_channels: int
    out_channels: int = 1280
    activation: ActivationName = "hard_swish"
    bias: bool = True
    batch_norm: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_channels("expanded_channels", self.expanded_channels)
        check_channels("out_channels", self.out_channels)
        check(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")

    def emit(self, graph: GraphBuilder, x: TensorRef, num_classes: int) -> TensorRef:
        x = graph.conv2d(x, self.expanded_channels, name="conv", activation=self.activation)
        x = graph.mean(x, name="pool")
        x = graph.conv2d(
            x,
            self.out_channels,
            name="expand",
            activation=self.activation,
            batch_norm=self.batch_norm,
            bias=self.bias,
        )
        return graph.fully_connected(x, num_classes, name="classifier", dropout=self.dropout)
