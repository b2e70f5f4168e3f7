"""SpacePlan: a search space as stages with lists of choices, and its file."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from mobilenas.arch import read_part
from mobilenas.blocks import BLOCKS, HEADS, Block, Head, make_divisible
from mobilenas.blocks.block import check_channels, check_window
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.mbconv import MBConv
from mobilenas.blocks.squeeze_excite import Gate
from mobilenas.errors import FieldError, InputError
from mobilenas.graph import ActivationName
from mobilenas.settings import Settings, check
from mobilenas.storage import read_json

CONV_OPS = "'conv', 'depthwise_separable', or 'mbconv' with its expansion, such as 'mbconv6'"
SKIPS: dict[str, bool | Literal["pool"]] = {"pool": "pool", "identity": True, "none": False}
"""The skips, and how blocks call them."""
MBCONV = re.compile(r"mbconv(\d{1,2}(?:\.\d{1,3})?)")
LAYER_FIELDS = ("conv_op", "kernel_size", "se_ratio", "skip")
"""Choices of a layer: the same for all layers of a stage, unless it is layerwise."""
STAGE_FIELDS = ("out_channels", "layers")
MOST_CHOICES, MOST_STAGES, MOST_LAYERS = 256, 64, 64


@dataclass(frozen=True, kw_only=True)
class StageChoices(Settings):
    """What may be chosen for one stage, a row of layers.

    Attributes:
        out_channels: Channels of every layer's output.
        layers: Number of layers.
        conv_op: "conv" (ConvBnAct), "depthwise_separable", or "mbconv" and its expansion, such as "mbconv6".
        kernel_size: Of the (depthwise) convolution.
        se_ratio: Squeeze-and-excitation; 0 for none. It has no effect on "conv".
        skip: "identity", "pool" or "none", where the shapes agree. It has no effect on "conv".
        stride: Of the first layer; the others have 1.
        layerwise: Whether every layer has its own `conv_op`, `kernel_size`, `se_ratio` and `skip`.
        activation: Of every layer.
        se_of: What the SE ratio is of: "input" of the layer, a whole number; or "expanded", a multiple of 8.
        se_gate, se_activation: As of blocks.

    Raises:
        FieldError: If a value is not accepted.
    """

    out_channels: tuple[int, ...]
    layers: tuple[int, ...] = (1,)
    conv_op: tuple[str, ...] = ("mbconv6",)
    kernel_size: tuple[int, ...] = (3,)
    se_ratio: tuple[float, ...] = (0.0,)
    skip: tuple[str, ...] = ("identity",)
    stride: int = 1
    layerwise: bool = False
    activation: ActivationName = "relu"
    se_of: Literal["input", "expanded"] = "input"
    se_gate: Gate = "sigmoid"
    se_activation: ActivationName = "relu"

    def __post_init__(self) -> None:
        for name in (*LAYER_FIELDS, *STAGE_FIELDS):
            check_choices(name, getattr(self, name))
        for i, op in enumerate(self.conv_op):
            fine = op in ("conv", "depthwise_separable") or (MBCONV.fullmatch(op) and expand_ratio(op) > 0)
            check(bool(fine), f"conv_op[{i}]", op, CONV_OPS)
        for i, kernel_size in enumerate(self.kernel_size):
            check(kernel_size in range(1, 64, 2), f"kernel_size[{i}]", kernel_size, "an odd number from 1 to 63")
        for i, ratio in enumerate(self.se_ratio):
            check(0 <= ratio <= 1, f"se_ratio[{i}]", ratio, "a number in [0, 1]")
        for i, skip in enumerate(self.skip):
            check(skip in SKIPS, f"skip[{i}]", skip, " or ".join(map(repr, SKIPS)))
        for i, channels in enumerate(self.out_channels):
            check_channels(f"out_channels[{i}]", channels)
        for i, layers in enumerate(self.layers):
            check(1 <= layers <= MOST_LAYERS, f"layers[{i}]", layers, f"a whole number from 1 to {MOST_LAYERS}")
        check_window(1, self.stride)

    def layer(
        self,
        *,
        conv_op: str,
        kernel_size: int,
        se_ratio: float,
        skip: str,
        in_channels: int,
        out_channels: int,
        stride: int,
    ) -> Block:
        """One layer as a block.

        Source: rounding as in the MnasNet and EfficientNet references: int(ratio * channels), at least 1; squeeze-and-
        excitation of the expanded channels as in MobileNetV3's: `make_divisible`.
        """
        if conv_op == "conv":
            return ConvBnAct(
                out_channels=out_channels, kernel_size=kernel_size, stride=stride, activation=self.activation
            )
        separable = conv_op == "depthwise_separable"
        expanded = in_channels if separable else max(1, int(in_channels * expand_ratio(conv_op)))
        of_input = max(1, int(in_channels * se_ratio))
        se_channels = of_input if self.se_of == "input" else make_divisible(expanded * se_ratio)
        if separable:
            return DepthwiseSeparable(
                out_channels=out_channels,
                kernel_size=kernel_size,
                stride=stride,
                activation=self.activation,
                se_channels=se_channels if se_ratio else 0,
                se_gate=self.se_gate,
                se_activation=self.se_activation,
                residual=SKIPS[skip],
            )
        return MBConv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            expanded_channels=0 if expanded == in_channels else expanded,
            se_channels=se_channels if se_ratio else 0,
            se_gate=self.se_gate,
            se_activation=self.se_activation,
            activation=self.activation,
            residual=SKIPS[skip],
        )


@dataclass(frozen=True, kw_only=True)
class SpacePlan(Settings):
    """A search space: a stem, stages with choices, a head, and choices for the whole network.

    Attributes:
        name: What `--space`, tables and files call it.
        stem: First block.
        stages: The stages.
        head: From the last feature map to the class scores.
        resolution: Input size in pixels.
        width_multiplier: Factor on all channels of stem, stages and head, rounded to multiples of 8; 1 changes nothing.

    Raises:
        FieldError: If a value is not accepted.
    """

    name: str
    stem: ConvBnAct
    stages: tuple[StageChoices, ...]
    head: Head
    resolution: tuple[int, ...] = (224,)
    width_multiplier: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check(
            bool(re.fullmatch(r"[\w.-]{1,64}", self.name)), "name", self.name, "1 to 64 letters, digits, '_', '.', '-'"
        )
        check(1 <= len(self.stages) <= MOST_STAGES, "stages", len(self.stages), f"1 to {MOST_STAGES} stages")
        for name in ("resolution", "width_multiplier"):
            check_choices(name, getattr(self, name))
        for i, resolution in enumerate(self.resolution):
            check(8 <= resolution <= 4096, f"resolution[{i}]", resolution, "a whole number from 8 to 4096")
        for i, width in enumerate(self.width_multiplier):
            check(0 < width <= 10, f"width_multiplier[{i}]", width, "a number above 0, at most 10")

    @classmethod
    def from_dict(cls, data: object, *, where: str = "") -> Self:
        """Reads the plain values of a space file.

        Raises:
            InputError: If a field or type is unknown or missing, or a value is not accepted; the text names the field.
        """
        values = dict(data) if isinstance(data, Mapping) else data
        if isinstance(values, dict):
            if "stem" in values:
                values["stem"] = read_part(BLOCKS, values["stem"], "stem")
                check(isinstance(values["stem"], ConvBnAct), "stem.type", values["stem"].type, "'conv_bn_act'")
            if "stages" in values:
                check(isinstance(values["stages"], list), "stages", values["stages"], "a list of objects")
                stages = enumerate(values["stages"])
                values["stages"] = [StageChoices.from_dict(stage, where=f"stages[{i}]") for i, stage in stages]
            if "head" in values:
                values["head"] = read_part(HEADS, values["head"], "head")
        return super().from_dict(values, where=where)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a space file; without a `name` it is called after the file.

        Raises:
            InputError: As `from_dict`, with the file's path before the text.
        """
        data = read_json(path, "space file")
        try:
            return cls.from_dict({"name": path.stem, **data} if isinstance(data, dict) else data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def check_choices(field: str, choices: tuple[object, ...]) -> None:
    """Raises `FieldError` unless there are 1 to 256 choices, all different."""
    if not 1 <= len(choices) <= MOST_CHOICES:
        raise FieldError(field, choices, f"a list of 1 to {MOST_CHOICES} choices")
    check(len(set(choices)) == len(choices), field, choices, "choices that are all different")


def expand_ratio(conv_op: str) -> float:
    """The expansion of an "mbconv..."; NaN for what is none."""
    found = MBCONV.fullmatch(conv_op)
    return float(found[1]) if found else math.nan
