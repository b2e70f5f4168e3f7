"""The universal inverted bottleneck of MobileNetV4."""

from dataclasses import dataclass

from mobilenas.blocks._skip import Skip, add_skip
from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef
from mobilenas.settings import check


@dataclass(frozen=True, kw_only=True)
class UniversalInvertedBottleneck(Block):
    """(Depthwise), 1x1 expansion, (depthwise), linear 1x1 projection; batch norm after all.

    A kernel size of 0 leaves that depthwise convolution out: both make the paper's ExtraDW, the middle one alone its
    inverted bottleneck, the first alone its ConvNext-like block, none its feed-forward network. The expansion is a
    convolution of its own whatever its channels. `activation` follows the expansion and the middle depthwise
    convolution; the stride is that of the middle one, or of the first where there is no middle one. Residual when the
    stride is 1 and the channels agree, unless `residual` is False.

    Source: MobileNetV4, arXiv 2404.10518, section 3 and figure 4; the stride's place: the authors' reference,
    github.com/tensorflow/models official/vision/modeling/layers/nn_blocks.py.
    Differs from the paper: without layer scale, which its convolutional networks do not use.
    """

    out_channels: int
    expanded_channels: int
    start_kernel_size: int = 0
    middle_kernel_size: int = 3
    stride: int = 1
    activation: ActivationName = "relu"
    residual: Skip = True

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_channels("expanded_channels", self.expanded_channels)
        for field in ("start_kernel_size", "middle_kernel_size"):
            size = getattr(self, field)
            check(size == 0 or (1 <= size <= 63 and size % 2 == 1), field, size, "0 or an odd number from 1 to 63")
        check_window(1, self.stride)
        strided = self.stride == 1 or self.start_kernel_size or self.middle_kernel_size
        check(bool(strided), "stride", self.stride, "1, or a kernel size of a depthwise convolution that takes it")

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = x
        if self.start_kernel_size:
            stride = 1 if self.middle_kernel_size else self.stride
            y = graph.depthwise_conv2d(y, name="start", kernel_size=self.start_kernel_size, stride=stride)
        y = graph.conv2d(y, self.expanded_channels, name="expand", activation=self.activation)
        if self.middle_kernel_size:
            y = graph.depthwise_conv2d(
                y,
                name="middle",
                kernel_size=self.middle_kernel_size,
                stride=self.stride,
                activation=self.activation,
            )
        y = graph.conv2d(y, self.out_channels, name="project")
        return add_skip(graph, x, y, self.residual, self.stride)
