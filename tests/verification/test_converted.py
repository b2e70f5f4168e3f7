"""Files of litert-torch, which is not installed for tests: what needs it skips without it."""

import pytest
import torch
from torch import nn

from mobilenas.errors import InputError
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
