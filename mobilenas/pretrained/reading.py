"""pretrained: what `--weights` names, as a network and its weights."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.export.weights import Array, fitted, read_tensors
from mobilenas.extras import require
from mobilenas.pretrained.layouts import LAYOUTS, Layout, Original
from mobilenas.pretrained.matching import Tensors, matched
from mobilenas.registry import unknown

SAFE = ".safetensors"
TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
DOWNLOADS = ("timm", "torchvision")
"""Sources that can be named without a file."""


def pretrained(
    arch: Arch, source: str, *, any_classes: bool = False, note: Callable[[str], None] = lambda text: None
) -> tuple[Arch, dict[str, Array]]:
    """The network that weights belong to, and the weights.

    Weights of a library want its padding and epsilon: a published network takes those of the library's original, any
    other keeps its own.

    Args:
        arch: The network.
        source: A library ("torchvision", "timm"), one of its networks ("timm:mobilenetv3_large_100"), or a file:
            `.safetensors`, or a state dict that torch saved, with our names or a library's.
        any_classes: Whether a library's classifier for another number of classes is left out and not refused.
        note: Is told as what a file was read.

    Raises:
        InputError: If the weights cannot be read or downloaded or do not fit; the text names the first tensors that
            differ.
    """
    library, _, name = source.partition(":")
    if library in LAYOUTS:
        layout = LAYOUTS[library]
        original = _original(layout, arch, name)
        tensors = _arrays(layout.download(original))
        arch = _variant(arch, original)
        return arch, matched(arch, layout, tensors, source=f"{library}'s {original.name}", any_classes=any_classes)
    path = Path(source)
    if path.suffix not in (SAFE, *TORCH_FILES):
        raise InputError(f"{unknown('source of weights', source, list(DOWNLOADS))} or give a {SAFE} or .pth file")
    found = read_tensors(path) if path.suffix == SAFE else _torch_file(path)
    fitting = next((LAYOUTS[name] for name in LAYOUTS if LAYOUTS[name].fits(found)), None)
    if fitting is None:
        return arch, fitted(found, arch.graph(), source)
    originals = fitting.originals.get(arch.name, ())
    if originals and _is_published(arch):
        note(f"{path.name} is read as {fitting.title}'s {originals[0].name}: {originals[0].padding} padding")
        arch = _variant(arch, originals[0])
    return arch, matched(arch, fitting, found, source=source, any_classes=any_classes)


def _original(layout: type[Layout], arch: Arch, name: str) -> Original:
    known = layout.originals.get(arch.name, ())
    if not known:
        ours = ", ".join(layout.originals)
        raise InputError(f"{layout.title} has no weights for {arch.name}; it has them for {ours}; give a file")
    if not name:
        return known[0]
    found = next((original for original in known if original.name == name), None)
    if found is None:
        raise InputError(unknown(f"{layout.title} network for {arch.name}", name, [each.name for each in known]))
    return found


def _variant(arch: Arch, original: Original) -> Arch:
    return replace(arch, padding=original.padding, bn_epsilon=original.bn_epsilon)


def _is_published(arch: Arch) -> bool:
    """Whether it is what `models` gives, and no file that says padding and epsilon itself."""
    if arch.name not in models.names():
        return False
    return arch == models.get(arch.name, resolution=arch.resolution, num_classes=arch.num_classes)


def _torch_file(path: Path) -> Tensors:
    require("torch", "train")
    from mobilenas.nn.state_files import read_state

    return _arrays(read_state(path))


def _arrays(state: Mapping[str, Any]) -> Tensors:
    """Tensors as arrays, what floats as float32."""
    floating = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return {name: value.detach().cpu().numpy() for name, value in floating.items()}
