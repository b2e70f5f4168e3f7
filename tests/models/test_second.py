"""Published networks against second implementations: as many parameters, and as many multiply-adds."""

import pytest
import timm
import torch
import torchvision
from published_names import published_names

from mobilenas import models

SECOND = [param for param in published_names() if models.published(param.values[0]).second]


def test_most_networks_have_a_second_implementation() -> None:
    without = {name for name in models.names() if not models.published(name).second}
    assert without == {
        "mnasnet_a1_0.35",
        *("mobilenet_v1_0.25", "mobilenet_v1_0.5", "mobilenet_v1_0.75"),
        *("proxylessnas_cpu", "proxylessnas_gpu", "proxylessnas_mobile"),
    }


@pytest.mark.parametrize("name", SECOND)
def test_parameters_and_multiply_adds_of_a_second_implementation(name: str) -> None:
    arch = models.get(name)
    library, _, theirs = models.published(name).second.partition(".")
    module = getattr(torchvision.models, theirs)() if library == "torchvision" else timm.create_model(theirs)
    assert sum(p.numel() for p in module.parameters()) == arch.graph().params
    assert counted_macs(module.eval(), arch.resolution) == arch.graph().macs


def counted_macs(module: torch.nn.Module, resolution: int) -> int:
    """Multiply-adds by the sizes of what convolutions and linear layers give; on the meta device, for free."""
    total = 0

    def count(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        inputs = layer.weight[0].numel() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) else 0
        total += inputs * output.numel()

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module.to("meta")(torch.zeros(1, 3, resolution, resolution, device="meta"))
    return total
