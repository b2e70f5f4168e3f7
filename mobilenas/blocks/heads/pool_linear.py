"""The head of MobileNetV1: pool and classify."""

from dataclasses import dataclass

from mobilenas.blocks.heads.head import Head
from mobilenas.graph import GraphBuilder, TensorRef
from mobilenas.settings import check


@dataclass(frozen=True, kw_only=True)
class PoolLinear(Head):
    """Mean, (dropout), classifier with bias.

    Source: MobileNetV1, arXiv 1704.04861, table 1.
    """

    dropout: float = 0.0

    def __post_init__(self) -> None:
        check(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")

    def emit(self, graph: GraphBuilder, x: TensorRef, num_classes: int) -> TensorRef:
        x = graph.mean(x, name="pool")
        return graph.fully_connected(x, num_classes, name="classifier", dropout=self.dropout)
