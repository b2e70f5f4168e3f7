"""The gate for files that litert-torch converted: parity with the torch module itself."""

import copy

import numpy as np
import numpy.typing as npt
from torch import nn

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile
from mobilenas.export.weights import check_finite
from mobilenas.nn.conversion import answer, converted
from mobilenas.nn.inference import image_batches
from mobilenas.nn.tracing import ForeignModule
from mobilenas.runners import LiteRTProcess
from mobilenas.verification.checked_export import CheckedFile
from mobilenas.verification.parity import agreement_check, parity_check
from mobilenas.verification.report import Check, Report
from mobilenas.verification.verify import (
    TIMEOUT_SECONDS,
    delegate_words,
    run_model,
    running,
    tensor_check,
)

Images = npt.NDArray[np.float32]
IMAGES = 4


def converted_export(foreign: ForeignModule, *, verify: bool = True) -> CheckedFile:
    """Converts a module by litert-torch, and checks the file.

    Args:
        foreign: The module.
        verify: Whether to check the file; without, the report is empty and LiteRT sees nothing of it.

    Raises:
        InputError: If the extra `litert-torch` is not installed, a weight is not finite, or the
            module cannot be converted.
        VerificationError: If LiteRT does not run the file.
    """
    check_finite({name: value.float().numpy() for name, value in foreign.module.state_dict().items()})
    model = converted(foreign.module, foreign.shape)
    return CheckedFile(model, verify_converted(model, foreign) if verify else Report(()))


def verify_converted(model: bytes, foreign: ForeignModule, *, runtime: LiteRTProcess | None = None) -> Report:
    """Checks a converted file against the module that it was converted from.

    Args:
        model: The file.
        foreign: The module.
        runtime: A LiteRT process to use; by default one is started.

    Returns:
        Checks of the inputs and outputs, of parity with torch (1e-5 of the largest; in float64 where the module takes
        it), and of the top-1 class of random images. What is not delegated is reported and does not fail: the operators
        are the converter's.

    Raises:
        VerificationError: If LiteRT does not load or run the file.
        InputError: If the file is no TFLite file or damaged, or the module gives anything but one tensor for an image.
    """
    TfliteFile.parse(model)  # LiteRT sees no damaged file
    images = np.random.default_rng(0).standard_normal((IMAGES, *foreign.shape)).astype(np.float32)
    with running(runtime) as process:
        found, _ = process.request("inspect", model, timeout_seconds=TIMEOUT_SECONDS)
        reference = _exact(foreign.module, images)
        sizes = reference.shape[1:] if reference.ndim != 4 else (*reference.shape[2:], reference.shape[1])
        checks = [
            tensor_check(name, found[name], [{"shape": [1, *wanted], "dtype": "float32"}])
            for name, wanted in (("inputs", foreign.shape), ("outputs", sizes))
        ]
        if all(check.passed for check in checks):
            exported = run_model(process, model, images)
            checks += [check(exported, reference, "float32") for check in (parity_check, agreement_check)]
        words = delegate_words(found["operators"], found["undelegated"])
        checks.append(Check("delegate", True, words, "reported, no bound"))
    return Report(tuple(checks))


def _exact(module: nn.Module, images: Images) -> npt.NDArray[np.floating]:
    """An image at a time, as the file computes; in float32 where a module has constants that demand it."""
    exact = copy.deepcopy(module).double()
    try:
        found = [answer(exact, image.double()) for image in image_batches(images, 1)]
    except InputError:
        found = [answer(module, image) for image in image_batches(images, 1)]
    return np.concatenate([each.numpy() for each in found])
