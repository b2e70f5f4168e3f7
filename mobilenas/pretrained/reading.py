"""pretrained: what `--weights` names, as a network and its weights."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.export.weights import Array, fitted, is_safetensors, plain, read_tensors
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

    Weights of a library want its padding and epsilon: a published network takes those of the library's original, or
    of the family's where the library lists no such width; any other network keeps its own.

    Args:
        arch: The network.
        source: A library ("torchvision", "timm"), one of its networks ("timm:mobilenetv3_large_100"), or a file:
            `.safetensors`, or a state dict that torch saved, with our names or a library's. A file of one of several
            networks that a library has for ours is named with it: "timm:mobilenetv3_large_100=weights.pth".
        any_classes: Whether a library's classifier for another number of classes is left out and not refused.
        note: Is told as what a file was read.

    Raises:
        InputError: If the weights cannot be read or downloaded or do not fit; the text names the first tensors that
            differ.
    """
    library, _, rest = source.partition(":")
    if library in LAYOUTS:
        layout, (name, equals, file) = LAYOUTS[library], rest.partition("=")
        if equals and not (name and file):
            raise InputError(f"{source} is not accepted; give --weights {library}:NETWORK=FILE")
        original = _original(layout, arch, library, name, file)
        tensors = _file_tensors(file) if file else _downloaded(layout, original)
        arch = _variant(arch, original)
        of = file or f"{library}'s {original.name}"
        return arch, matched(arch, layout, tensors, source=of, any_classes=any_classes)
    found = _file_tensors(source)
    fitting = next((key for key in LAYOUTS if LAYOUTS[key].fits(found)), None)
    if fitting is None:
        if not found.keys() & arch.graph().state_shapes().keys():
            raise InputError(_of_nobody(source, found))
        return arch, fitted(found, arch.graph(), source)
    layout = LAYOUTS[fitting]
    if _is_published(arch):
        originals = _relatives(layout, arch, source)
        _require_one(originals, layout, fitting, source)
        as_what = "as" if arch.name in layout.originals else "as another width of"
        name, padding = originals[0].name, originals[0].padding
        note(f"{Path(source).name} is read {as_what} {layout.title}'s {name}: {padding} padding")
        arch = _variant(arch, originals[0])
    return arch, matched(arch, layout, found, source=source, any_classes=any_classes)


def _file_tensors(source: str) -> Tensors:
    """The tensors of a file; one without a usual ending, such as Once-for-All's `init`, is read as what it is."""
    path = Path(source)
    if path.suffix not in (SAFE, *TORCH_FILES) and not path.is_file():
        raise InputError(f"{unknown('source of weights', source, list(DOWNLOADS))} or give a {SAFE} or .pth file")
    safe = path.suffix == SAFE or (path.suffix not in TORCH_FILES and is_safetensors(path))
    return read_tensors(path) if safe else _torch_file(path)


def _of_nobody(source: str, found: Tensors) -> str:
    titles = ", ".join(LAYOUTS[library].title for library in LAYOUTS)
    own = ", ".join(plain(name) for name in sorted(found)[:3]) + (
        f" and {len(found) - 3} more" if len(found) > 3 else ""
    )
    return f"{source} has neither our names nor those of {titles}; its tensors are {own or 'none'}"


def _require_one(originals: Sequence[Original], layout: type[Layout], library: str, source: str) -> None:
    """Raises `InputError` if networks of a library that compute different things have the same tensors as ours."""
    if len({(original.padding, original.bn_epsilon, original.differs) for original in originals}) > 1:
        known = " or ".join(f"{each.name} ({each.differs or f'{each.padding} padding'})" for each in originals)
        choices = " or ".join(f"{library}:{each.name}={source}" for each in originals if not each.differs)
        raise InputError(
            f"{source} may be {layout.title}'s {known}, which its tensors do not tell\ngive --weights {choices}"
        )


def _downloaded(layout: type[Layout], original: Original) -> Tensors:
    """What a library downloads; what it prints meanwhile goes to stderr, as stdout is for the answer."""
    with redirect_stdout(sys.stderr):
        return _arrays(layout.download(original))


def _relatives(layout: type[Layout], arch: Arch, file: str) -> tuple[Original, ...]:
    """What the library has of a network or its family; padding and epsilon of anything else are not known."""
    known = layout.relatives(arch.name)
    if not known:
        raise InputError(
            f"{file} has {layout.title}'s names, but {layout.title} has no {arch.name}: which padding and epsilon its "
            "weights want is not known\ngive an architecture file (.json) or a net.config, which say both, as MODEL"
        )
    return known


def _original(layout: type[Layout], arch: Arch, library: str, name: str, file: str) -> Original:
    known = _relatives(layout, arch, file) if file else layout.originals.get(arch.name, ())
    if not known:
        ours = ", ".join(layout.originals)
        raise InputError(f"{layout.title} has no weights for {arch.name}; it has them for {ours}; give a file")
    if not name:
        return known[0]
    found = next((original for original in known if original.name == name), None)
    if found is None:
        raise InputError(unknown(f"{layout.title} network for {arch.name}", name, [each.name for each in known]))
    if found.differs:
        raise InputError(
            f"{layout.title}'s {name} has the tensors of {arch.name} but is another network: it {found.differs}"
            f"\ngive the module itself as MODEL: {library}.models:{name}"
        )
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
