"""MBConv with depthwise kernels of several sizes and grouped pointwise convolutions: the block of MixNet."""

from dataclasses import dataclass

from mobilenas.blocks._skip import Skip, add_skip
from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.blocks.squeeze_excite import Gate, add_squeeze_excite
from mobilenas.errors import FieldError
from mobilenas.graph import ActivationName, GraphBuilder, TensorRef
from mobilenas.settings import check


@dataclass(frozen=True, kw_only=True)
class MixedMBConv(Block):
    """1x1 expansion, depthwise of mixed kernels, (squeeze-and-excitation), linear 1x1 projection; batch norm after all.

    The channels are dealt out evenly to the kernel sizes, what remains to the first. `expand_groups` and
    `project_groups` are groups of the 1x1 convolutions. Expansion and residual as in MBConv.

    Source: MixNet, arXiv 1907.09595, section 3; grouped pointwise convolutions: the authors' reference,
    github.com/tensorflow/tpu models/official/mnasnet/mixnet.
    Differs from the paper: nothing.
    """

    out_channels: int
    kernel_sizes: tuple[int, ...] = (3,)
    stride: int = 1
    expanded_channels: int = 0
    expand_groups: int = 1
    project_groups: int = 1
    se_channels: int = 0
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"
    activation: ActivationName = "relu"
    residual: Skip = True

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_channels("expanded_channels", self.expanded_channels, least=0)
        check_channels("se_channels", self.se_channels, least=0)
        check_channels("expand_groups", self.expand_groups)
        check_channels("project_groups", self.project_groups)
        check(1 <= len(self.kernel_sizes) <= 16, "kernel_sizes", self.kernel_sizes, "a list of 1 to 16 odd numbers")
        for kernel_size in self.kernel_sizes:
            check_window(kernel_size, self.stride)

    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        (x,) = xs
        y = x
        if self.expanded_channels not in (0, x.channels):
            _check_groups("expand_groups", self.expand_groups, x.channels, self.expanded_channels)
            y = graph.conv2d(
                y, self.expanded_channels, name="expand", groups=self.expand_groups, activation=self.activation
            )
        y = self._depthwise(graph, y)
        y = add_squeeze_excite(graph, y, self.se_channels, self.se_gate, self.se_activation)
        _check_groups("project_groups", self.project_groups, y.channels, self.out_channels)
        y = graph.conv2d(y, self.out_channels, name="project", groups=self.project_groups)
        return add_skip(graph, x, y, self.residual, self.stride)

    def _depthwise(self, graph: GraphBuilder, x: TensorRef) -> TensorRef:
        if len(self.kernel_sizes) == 1:
            (kernel_size,) = self.kernel_sizes
            return graph.depthwise_conv2d(
                x, name="depthwise", kernel_size=kernel_size, stride=self.stride, activation=self.activation
            )
        each, rest = divmod(x.channels, len(self.kernel_sizes))
        if not each:
            raise FieldError("kernel_sizes", self.kernel_sizes, f"at most one for each of the {x.channels} channels")
        parts, first = [], 0
        for i, kernel_size in enumerate(self.kernel_sizes):
            channels = each + rest if i == 0 else each
            part = graph.slice(x, channels, first_channel=first, name=f"part_{i}")
            first += channels
            parts.append(
                graph.depthwise_conv2d(
                    part,
                    name=f"depthwise_{i}",
                    kernel_size=kernel_size,
                    stride=self.stride,
                    activation=self.activation,
                )
            )
        return graph.concat(*parts, name="mixed")


def _check_groups(field: str, groups: int, *channels: int) -> None:
    divides = not any(count % groups for count in channels)
    check(divides, field, groups, f"a number that divides {' and '.join(map(str, channels))}")
