"""The settings that inverted bottlenecks with one kernel size share."""

from dataclasses import dataclass

from mobilenas.blocks._skip import Skip
from mobilenas.blocks.block import Block, check_channels, check_window
from mobilenas.blocks.squeeze_excite import Gate
from mobilenas.graph import ActivationName


@dataclass(frozen=True, kw_only=True)
class Bottleneck(Block):
    """Expansion to `expanded_channels`, (squeeze-and-excitation), projection to `out_channels`."""

    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    expanded_channels: int = 0
    se_channels: int = 0
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"
    activation: ActivationName = "relu"
    residual: Skip = True

    def __post_init__(self) -> None:
        check_channels("out_channels", self.out_channels)
        check_channels("expanded_channels", self.expanded_channels, least=0)
        check_channels("se_channels", self.se_channels, least=0)
        check_window(self.kernel_size, self.stride)
