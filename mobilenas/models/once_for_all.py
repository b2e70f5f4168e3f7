"""Networks of Once-for-All and ProxylessNAS from their `net.config` files.

Source: Cai et al., arXiv 1908.09791; the files' fields: github.com/mit-han-lab/once-for-all ofa/utils/layers.py.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobilenas.arch import Arch
from mobilenas.blocks import Block, Head, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.heads.pool_linear import PoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import FieldError, InputError, shorten
from mobilenas.graph import ActivationName
from mobilenas.settings import check
from mobilenas.storage import read_json

ACTIVATIONS: dict[str | None, ActivationName] = {
    None: "none",
    "none": "none",
    "relu": "relu",
    "relu6": "relu6",
    "h_swish": "hard_swish",
    "sigmoid": "sigmoid",
    "h_sigmoid": "hard_sigmoid",
}
LAYERS = ("MBConvLayer", "MBInvertedConvLayer")
ZERO, IDENTITY = "ZeroLayer", "IdentityLayer"
NETWORKS_READ = ("MobileNetV3", "ProxylessNASNets")
MOST_CHANNELS = 65536
PLAIN: Mapping[str, tuple[object, ...]] = {
    "in_channels": (None, 3),
    "dilation": (None, 1),
    "groups": (None, 1),
    "bias": (None, False),
    "use_bn": (None, True),
    "has_shuffle": (None, False),
    "use_se": (None, False),
    "dropout_rate": (None, 0, 0.0),
    "ops_order": (None, "weight_bn_act"),
}
"""What a convolution's fields must be where the network has nothing else for them."""
POINTWISE: Mapping[str, tuple[object, ...]] = {
    **{name: accepted for name, accepted in PLAIN.items() if name != "in_channels"},
    "kernel_size": (1,),
    "stride": (None, 1),
}
POOLED = {name: accepted for name, accepted in POINTWISE.items() if name not in ("bias", "use_bn")}
LINEAR: Mapping[str, tuple[object, ...]] = {"bias": (None, True), "use_bn": (None, False), "act_func": (None, "none")}
SHORTCUT: Mapping[str, tuple[object, ...]] = {
    "name": (IDENTITY, ZERO),
    "use_bn": (None, False),
    "act_func": (None, "none"),
    "dropout_rate": (None, 0, 0.0),
}
DEFAULT_RESOLUTION = 224
DEFAULT_EPSILON = {"ProxylessNASNets": 1e-3}


def load_net_config(path: Path, *, resolution: int | None = None) -> Arch:
    """Reads a `net.config` file; the network is called after its folder.

    Args:
        path: The file.
        resolution: Input size in pixels; by default the `image_size` of a `run.config` beside the file, else 224.

    Raises:
        InputError: If it cannot be read or is no such file; the text names the field.
    """
    run = path.with_name("run.config")
    try:
        if resolution is None and run.is_file():
            resolution = _image_size(run)
        name = path.resolve().parent.name or path.stem
        return from_net_config(read_json(path), name=name, resolution=resolution or DEFAULT_RESOLUTION)
    except FieldError as error:
        raise InputError(f"{path}: {error}") from error


def _image_size(run: Path) -> int:
    """The `image_size` of a `run.config`, 224 where it has none."""
    try:
        fields = _Fields(read_json(run), "")
        size = DEFAULT_RESOLUTION if fields.value("image_size") is None else fields.integer("image_size")
        check(8 <= size <= 4096, "image_size", size, "a whole number from 8 to 4096")
    except FieldError as error:
        raise InputError(f"{run}: {error}") from error
    return size


def from_net_config(data: object, *, name: str = "once_for_all", resolution: int = DEFAULT_RESOLUTION) -> Arch:
    """The network of a `net.config`.

    Args:
        data: The file's JSON.
        name: Name of the network.
        resolution: Input size in pixels, which the file has not.

    Returns:
        The network with torch's symmetric padding, as the checkpoints need it.

    Raises:
        FieldError: If a field is missing or not accepted.
    """
    root = _Fields(data, "")
    if root.value("name") not in NETWORKS_READ or root.value("input_stem") is not None:  # ResNets
        raise FieldError(
            "name", root.value("name"), f"a mobile network ({', '.join(NETWORKS_READ)}); only these are read"
        )
    first = root.child("first_conv")
    first.expect_all(PLAIN)
    stem = ConvBnAct(
        out_channels=first.integer("out_channels"),
        kernel_size=first.integer("kernel_size"),
        stride=first.integer("stride"),
        activation=first.activation(),
    )
    channels, stages = stem.out_channels, list[tuple[Block, ...]]()
    for block in root.children("blocks"):
        made = _block(block, channels)
        if made is None:
            continue
        if made.stride == 2 or made.out_channels != channels or not stages:
            stages.append(())
        stages[-1] = (*stages[-1], made)
        channels = made.out_channels
    classifier = root.child("classifier")
    classifier.expect_all(LINEAR)
    norm = root.optional("bn")
    if norm:
        norm.expect("ws_eps", None)
    epsilon = norm.real("eps") if norm else DEFAULT_EPSILON.get(str(root.value("name")), 1e-5)
    return Arch(
        stem=stem,
        stages=tuple(stages),
        head=_head(root, classifier),
        resolution=resolution,
        num_classes=classifier.integer("out_features"),
        padding="symmetric",
        bn_epsilon=epsilon,
        name=name,
    )


def _block(block: "_Fields", channels: int) -> MBConv | None:
    """One block; None where the search chose to skip it."""
    conv = block.optional("mobile_inverted_conv") or block.optional("conv")
    if conv is None or conv.value("name") == ZERO:
        return None
    conv.expect("name", *LAYERS)
    conv.expect("in_channels", channels)
    conv.expect("groups", None)
    expanded = _expanded(conv, channels)
    shortcut = block.optional("shortcut")
    if shortcut:
        shortcut.expect_all(SHORTCUT)
    made = MBConv(
        out_channels=conv.integer("out_channels"),
        kernel_size=conv.integer("kernel_size"),
        stride=conv.integer("stride"),
        expanded_channels=expanded,
        se_channels=make_divisible((expanded or channels) // 4) if conv.boolean("use_se", default=False) else 0,
        se_gate="hard_sigmoid",
        activation=conv.activation(),
        residual=shortcut is not None and shortcut.value("name") != ZERO,
    )
    if made.residual and (made.stride, made.out_channels) != (1, channels):
        raise FieldError("shortcut", block.value("shortcut"), "null where a block changes the size", block.where)
    return made


def _expanded(conv: "_Fields", channels: int) -> int:
    """Channels of the expansion convolution; 0 where the block has none."""
    given = conv.value("mid_channels")
    ratio = None if given is not None and conv.value("expand_ratio") is None else conv.real("expand_ratio")
    if given is not None:
        expanded = conv.integer("mid_channels")
        check(1 <= expanded <= MOST_CHANNELS, f"{conv.where}.mid_channels", given, f"null or 1 to {MOST_CHANNELS}")
    else:
        assert ratio is not None
        fits = 1 <= channels * ratio <= MOST_CHANNELS
        check(fits, f"{conv.where}.expand_ratio", ratio, f"a number that gives 1 to {MOST_CHANNELS} channels")
        expanded = round(channels * ratio)
    if (ratio == 1) != (expanded == channels):
        accepted = "null or in_channels, as expand_ratio is 1" if ratio == 1 else "a number that is not in_channels"
        raise FieldError("mid_channels", expanded, accepted, conv.where)
    return 0 if ratio == 1 else expanded


def _head(root: "_Fields", classifier: "_Fields") -> Head:
    dropout = classifier.real("dropout_rate", 0.0)
    expand, mix = root.optional("final_expand_layer"), root.optional("feature_mix_layer")
    if mix is None:
        root.expect("final_expand_layer", None)
        return PoolLinear(dropout=dropout)
    out_channels, activation = mix.integer("out_channels"), mix.activation()
    if expand is None:
        mix.expect_all(POINTWISE)
        return ConvPoolLinear(out_channels=out_channels, activation=activation, dropout=dropout)
    expand.expect_all(POINTWISE)
    mix.expect_all(POOLED)
    expand.expect("act_func", mix.value("act_func"))
    return PoolConvLinear(
        expanded_channels=expand.integer("out_channels"),
        out_channels=out_channels,
        activation=activation,
        bias=mix.boolean("bias", default=False),
        batch_norm=mix.boolean("use_bn", default=True),
        dropout=dropout,
    )


class _Fields:
    """An object of the file and where it stands there."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, Mapping):
            raise FieldError(where or "net.config", data, "an object with fields")
        self._data, self.where = data, where

    def value(self, name: str) -> Any:
        """A field, None where it is absent."""
        return self._data.get(name)

    def integer(self, name: str) -> int:
        """A field that must be a whole number."""
        value = self.value(name)
        if type(value) is not int:
            raise FieldError(name, value, "a whole number", self.where)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """A field that must be true or false; null and absent ones are `default`."""
        value = default if self.value(name) is None else self.value(name)
        if not isinstance(value, bool):
            raise FieldError(name, value, "true or false", self.where)
        return value

    def real(self, name: str, default: float | None = None) -> float:
        """A field that must be a finite number; null and absent ones are `default`, if there is one."""
        value = default if self.value(name) is None else self.value(name)
        try:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
        except OverflowError:
            pass  # a whole number beyond every float
        raise FieldError(name, value, "a number", self.where)

    def activation(self) -> ActivationName:
        """The field `act_func`."""
        name = self.value("act_func")
        if (name is not None and not isinstance(name, str)) or name not in ACTIVATIONS:
            raise FieldError("act_func", name, " or ".join(map(str, ACTIVATIONS)), self.where)
        return ACTIVATIONS[name]

    def expect(self, name: str, *accepted: object) -> None:
        """Raises `FieldError` unless a field is one of some values, of the same type; null and absent are None."""
        value = self.value(name)
        if not any(type(value) is type(each) and value == each for each in accepted):
            said = ["null" if each is None else shorten(each) for each in accepted]
            raise FieldError(name, value, " or ".join(said), self.where)

    def expect_all(self, accepted: Mapping[str, tuple[object, ...]]) -> None:
        """Raises `FieldError` unless each of some fields is one of its values."""
        for name, values in accepted.items():
            self.expect(name, *values)

    def child(self, name: str) -> "_Fields":
        """A field that is an object."""
        return _Fields(self.value(name), self._path(name))

    def optional(self, name: str) -> "_Fields | None":
        """A field that is an object, or None where it is absent or null."""
        return None if self.value(name) is None else self.child(name)

    def children(self, name: str) -> list["_Fields"]:
        """A field that is a list of objects."""
        value = self.value(name)
        if not isinstance(value, list) or not value:
            raise FieldError(name, value, "a list of objects", self.where)
        return [_Fields(item, f"{self._path(name)}[{i}]") for i, item in enumerate(value)]

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name
