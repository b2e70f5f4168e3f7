"""`--via`: files that a converter makes of a torch module which the op graph cannot express."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mobilenas.cli.output import note
from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.registry import unknown
from mobilenas.verification.report import Report
from mobilenas.verification.verify import ONE_DELEGATE

if TYPE_CHECKING:
    from mobilenas.nn.tracing import ForeignModule

CONVERTERS = ("litert-torch",)
Via = Annotated[
    str | None,
    typer.Option(
        help="litert-torch: convert a module:function that cannot be traced, as a float32 .tflite and nothing else; "
        "needs the extra litert-torch."
    ),
]


def open_module(via: str, model: str, weights: str | None, refused: dict[str, Any]) -> "ForeignModule":
    """The module that a converter takes.

    Args:
        via: --via.
        model: MODEL.
        weights: --weights.
        refused: What says nothing to a converter, by the option's name; given where the value is not empty.

    Raises:
        InputError: If the converter is not known, an option does not go with it, or the module cannot be had.
    """
    if via not in CONVERTERS:
        raise InputError(unknown("converter", via, list(CONVERTERS)))
    if ":" not in model:
        raise InputError(f"--via {via} takes a module:function of a torch module, not {model}; leave --via out")
    for option, value in refused.items():
        if value:
            raise InputError(f"--via {via} writes float32 .tflite files and knows no data; leave out {option}")
    require("torch", "train")
    require("litert_torch", via)
    from mobilenas.nn.tracing import foreign_module

    return foreign_module(model, weights)


def warn_of_delegates(what: str, report: Report) -> None:
    """Says what of a converted file runs on slow kernels."""
    found = next((check.found for check in report.checks if check.name == "delegate"), ONE_DELEGATE)
    if found != ONE_DELEGATE:
        note(f"{what}: {found}; what stands outside runs on slow kernels, and each partition costs a hand-over")
