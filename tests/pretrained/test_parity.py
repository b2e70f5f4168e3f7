"""The same outputs as the originals' own modules, with the weights mapped by name."""

from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from originals import randomise
from published_names import published_names
from timm.models import efficientnet

from mobilenas import models
from mobilenas.nn import GraphModule, set_weights
from mobilenas.nn.weights import module_of
from mobilenas.pretrained import LAYOUTS, pretrained
from mobilenas.pretrained.matching import matched

MARKS = {param.values[0]: param.marks for param in published_names()}
PAIRS = [
    pytest.param(library, name, original, id=f"{library}-{original.name}", marks=MARKS[name])
    for library in ("torchvision", "timm")
    for name, originals in LAYOUTS[library].originals.items()
    for original in originals
    if not original.differs
]
RESOLUTION = 64


def original_of(library: str, name: str) -> torch.nn.Module:
    return getattr(torchvision.models, name)() if library == "torchvision" else timm.create_model(name)


@pytest.mark.parametrize(("library", "name", "original"), PAIRS)
def test_same_outputs(library: str, name: str, original, tmp_path) -> None:
    torch.manual_seed(0)
    module = original_of(library, original.name)
    images = torch.randn(4, 3, RESOLUTION, RESOLUTION)
    randomise(module, images)
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    source = f"{library}:{original.name}={tmp_path / 'weights.pth'}"
    arch, weights = pretrained(models.get(name, resolution=RESOLUTION), source)
    ours = module_of(arch.graph(), weights)
    with torch.no_grad():
        wanted, given = module(images), ours(images)
    largest = wanted.abs().max()
    assert (given - wanted).abs().max() <= 1e-4 * largest
    # what the comparison can see: other images
    assert (wanted - wanted.mean(0)).abs().max() > 0.1 * largest


WIDTHS = [
    ("torchvision", "mobilenet_v2_0.35", "mobilenet_v2", lambda: torchvision.models.mobilenet_v2(width_mult=0.35)),
    ("torchvision", "mobilenet_v2_0.5", "mobilenet_v2", lambda: torchvision.models.mobilenet_v2(width_mult=0.5)),
    ("torchvision", "mobilenet_v2_1.4", "mobilenet_v2", lambda: torchvision.models.mobilenet_v2(width_mult=1.4)),
    ("timm", "mobilenet_v1_0.5", "mobilenetv1_100", lambda: efficientnet._gen_mobilenet_v1("mobilenetv1_100", 0.5)),
    ("timm", "mobilenet_v1_0.25", "mobilenetv1_100", lambda: efficientnet._gen_mobilenet_v1("mobilenetv1_100", 0.25)),
    ("timm", "mnasnet_a1_0.35", "semnasnet_100", lambda: efficientnet._gen_mnasnet_a1("semnasnet_100", 0.35)),
    ("timm", "mnasnet_b1_1.3", "mnasnet_100", lambda: efficientnet._gen_mnasnet_b1("mnasnet_100", 1.3)),
]


@pytest.mark.parametrize(("library", "name", "family", "build"), WIDTHS, ids=lambda each: str(each)[:20])
def test_widths_that_the_library_does_not_list(library: str, name: str, family: str, build, tmp_path) -> None:
    torch.manual_seed(0)
    module = build()
    images = torch.randn(4, 3, RESOLUTION, RESOLUTION)
    randomise(module, images)
    path = tmp_path / "weights.pth"
    torch.save(module.state_dict(), path)
    notes: list[str] = []
    arch, weights = pretrained(models.get(name, resolution=RESOLUTION), str(path), note=notes.append)
    assert notes == [f"weights.pth is read as another width of {library}'s {family}: symmetric padding"]
    assert pretrained(models.get(name, resolution=RESOLUTION), f"{library}:{family}={path}")[0] == arch
    with torch.no_grad():
        wanted, given = module(images), module_of(arch.graph(), weights)(images)
    assert (given - wanted).abs().max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize(("library", "name"), [("torchvision", "efficientnet_b0"), ("timm", "mixnet_s")])
def test_padding_and_epsilon_are_seen(library: str, name: str) -> None:
    """With our own padding, or another epsilon, the outputs differ: so parity says that both are right."""
    torch.manual_seed(0)
    original = LAYOUTS[library].originals[name][-1]
    module = original_of(library, original.name)
    images = torch.randn(4, 3, RESOLUTION, RESOLUTION)
    randomise(module, images)
    found = {key: value.numpy() for key, value in module.state_dict().items()}
    for padding, epsilon in (("same", original.bn_epsilon), (original.padding, 0.1)):
        arch = replace(models.get(name, resolution=RESOLUTION), padding=padding, bn_epsilon=epsilon)
        ours = GraphModule(arch.graph()).eval()
        set_weights(ours, matched(arch, LAYOUTS[library], found, source=original.name))
        with torch.no_grad():
            assert (ours(images) - module(images)).abs().max() > 1e-2
