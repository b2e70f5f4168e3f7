"""Files of litert-torch, which is not installed for tests: what needs it skips without it."""

import numpy as np
import pytest
import torch
from torch import nn

from mobilenas.errors import InputError
from mobilenas.export import write_tflite
from mobilenas.graph import GraphBuilder
from mobilenas.nn import conversion
from mobilenas.nn.conversion import converted
from mobilenas.nn.tracing import ForeignModule
from mobilenas.verification.converted import converted_export, verify_converted

SHAPE = (16, 16, 3)


class Smooth(nn.Module):
    """Mish, which no op graph has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(nn.functional.mish(self.conv(x)).mean((2, 3)))


class Image(nn.Module):
    """Gives an image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.mish(x[:, :2])


def foreign(module: nn.Module) -> ForeignModule:
    return ForeignModule("a test", module.eval(), SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("module", [Smooth, Image])
def test_a_converted_file_computes_what_the_module_computes(module) -> None:
    pytest.importorskip("litert_torch", reason="the extra litert-torch is not installed")
    torch.manual_seed(0)
    found = foreign(module())
    exported = converted_export(found)
    assert exported.report.passed, exported.report
    assert [check.name for check in exported.report.checks] == [
        "inputs",
        "outputs",
        "parity",
        "top-1 agreement",
        "delegate",
    ]
    torch.manual_seed(1)
    if module is Smooth:
        other = verify_converted(exported.model, foreign(Smooth()))
        assert next(check.name for check in other.checks if not check.passed) == "parity"


class OwnConstant(nn.Module):
    """Demands float32, and images one at a time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, torch.arange(12.0).reshape(4, 3, 1, 1)).reshape(1, 4, 16, 16)


def own_file() -> bytes:
    """What a converter should make of `OwnConstant`."""
    builder = GraphBuilder(SHAPE)
    graph = builder.finish(builder.conv2d(builder.inputs[0], 4, name="conv", batch_norm=False))
    return write_tflite(graph, {"conv.weight": np.arange(12, dtype=np.float32).reshape(4, 3, 1, 1)})


def test_a_module_that_cannot_be_computed_in_float64() -> None:
    report = verify_converted(own_file(), foreign(OwnConstant()))
    assert report.passed, report


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: (x, x), "gives tuple; give a module that gives one tensor"),
        (lambda x: x[:, 7], "does not take images 1x3x16x16: "),
        (lambda x: x.mean(), r"gives sizes \[\] for 1 images"),
    ],
)
def test_a_module_that_no_file_can_be_compared_with(forward, message) -> None:
    module = nn.Module()
    module.forward = forward
    with pytest.raises(InputError, match=message):
        verify_converted(own_file(), foreign(module))


def test_several_outputs_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "require", lambda module, extra: None)
        with pytest.raises(InputError, match="gives tuple; give a module that gives one tensor"):
            converted(Two(), SHAPE)
        with pytest.raises(InputError, match="litert-torch cannot convert Smooth: "):
            converted(Smooth(), SHAPE)
