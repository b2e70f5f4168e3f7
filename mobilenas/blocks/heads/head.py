"""Head: settings that emit the end of a network."""

from abc import abstractmethod

from mobilenas.blocks.block import Part
from mobilenas.graph import GraphBuilder, TensorRef


class Head(Part):
    """The end of a network: from the last feature map to the class scores."""

    @abstractmethod
    def emit(self, graph: GraphBuilder, x: TensorRef, num_classes: int) -> TensorRef:
        """Appends the head's operations and returns the scores, shape (1, 1, num_classes)."""
