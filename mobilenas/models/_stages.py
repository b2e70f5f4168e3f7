"""Stages of inverted bottlenecks from the rows that papers print."""

from collections.abc import Iterable
from typing import NamedTuple

from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks.mbconv import MBConv
from mobilenas.graph import ActivationName
from mobilenas.settings import check


class Row(NamedTuple):
    """One stage: layers alike but for the stride, which only the first has; `se_ratio` is of a layer's input."""

    expand_ratio: int
    kernel_size: int
    stride: int
    out_channels: int
    layers: int
    se_ratio: float = 0.0


def mbconv_stages(
    in_channels: int, rows: Iterable[Row], *, activation: ActivationName, se_activation: ActivationName = "relu"
) -> tuple[tuple[Block, ...], ...]:
    """The stages of `rows`, one a row, behind a stem of `in_channels`."""
    stages: list[tuple[Block, ...]] = []
    for row in rows:
        stage = []
        for layer in range(row.layers):
            stage.append(
                MBConv.from_ratios(
                    in_channels=in_channels,
                    out_channels=row.out_channels,
                    expand_ratio=row.expand_ratio,
                    se_ratio=row.se_ratio,
                    se_activation=se_activation,
                    kernel_size=row.kernel_size,
                    stride=row.stride if layer == 0 else 1,
                    activation=activation,
                )
            )
            in_channels = row.out_channels
        stages.append(tuple(stage))
    return tuple(stages)


def widened(rows: Iterable[Row], width_multiplier: float) -> tuple[Row, ...]:
    """The rows with all channels times a factor, rounded to multiples of 8."""
    return tuple(row._replace(out_channels=make_divisible(row.out_channels * width_multiplier)) for row in rows)


def check_width(width_multiplier: float) -> None:
    """Raises `FieldError` unless the width multiplier is a number above 0, up to 10."""
    check(0 < width_multiplier <= 10, "width_multiplier", width_multiplier, "a number above 0, at most 10")
