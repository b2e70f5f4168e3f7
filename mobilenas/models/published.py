"""Published: a network with the figures that its paper gives."""

from collections.abc import Callable
from dataclasses import dataclass

from mobilenas.arch import Arch


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network and what was published of it.

    Attributes:
        build: Gives the network.
        params: Parameters, exact.
        params_millions: As published, in millions; None where nothing was.
        macs_millions: As published, in millions; None where nothing was.
        params_step_millions, macs_step_millions: What one unit of the last published digit is worth.
        top1: ImageNet top-1 accuracy as published, [0, 1]; None where none was.
        source: Where the figures stand.
        compared: What they were compared with: the source itself, or a text that repeats it. Empty where they were not:
            they are then as they are generally quoted.
        second: A second implementation, as `torchvision.<name>` or `timm.<name>`: tests hold the network against it.
            Empty where there is none.
        params_remark, macs_remark: Why a published figure is more than half a unit of its last digit away from the
            network's, or missing; empty where it is not.
        remark: What else contradicts a published figure.
    """

    build: Callable[[], Arch]
    params: int
    params_millions: float | None = None
    macs_millions: float | None = None
    top1: float | None = None
    source: str
    compared: str = ""
    params_step_millions: float = 0.1
    macs_step_millions: float = 1.0
    second: str = ""
    params_remark: str = ""
    macs_remark: str = ""
    remark: str = ""
