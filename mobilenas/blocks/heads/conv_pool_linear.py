"""The head of MobileNetV2, MnasNet and EfficientNet."""

from dataclasses import dataclass

from mobilenas.blocks.block import check_channels
from mobilenas.blocks.heads.head import Head
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef
from mobilenas.settings import check


@dataclass(frozen=True, kw_only=True)
class ConvPoolLinear(Head):
    """1x1 convolution with batch norm and activation, mean, (dropout), classifier with bias."""

    out_channels: int = 1280
    activation: ActivationName = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")

    def emit(self, graph: GraphBuilder, x: TensorRef, num_classes: int) -> TensorRef:
        x = graph.conv2d(x, self.out_channels, name="conv", activation=self.activation)
        x = graph.mean(x, name="pool")
        return graph.fully_connected(x, num_classes, name="classifier", dropout=self.dropout)
