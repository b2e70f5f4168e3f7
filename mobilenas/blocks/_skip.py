"""The skip connection that residual blocks share."""

from typing import Literal

from mobilenas.graph import GraphBuilder, TensorRef

Skip = bool | Literal["pool"]
"""True: identity where the stride is 1 and the channels agree. False: none.

"pool": through a 3x3 max pool of the block's stride where the channels agree.
"""


def add_skip(graph: GraphBuilder, x: TensorRef, y: TensorRef, residual: Skip, stride: int) -> TensorRef:
    """Adds the block's input `x` to its output `y` where `residual`, `stride` and the channels allow it.

    Source: identity: MobileNetV2, arXiv 1801.04381, section 3.3. Pooling is the third skip operation of the MnasNet
    space (arXiv 1807.11626, section 4.1), whose kind and size the paper leaves open.
    """
    if not residual or x.channels != y.channels:
        return y
    if residual == "pool":
        x = graph.max_pool2d(x, name="skip_pool", kernel_size=3, stride=stride, padding="same")
    elif stride != 1:
        return y
    return graph.add(x, y, name="add")
