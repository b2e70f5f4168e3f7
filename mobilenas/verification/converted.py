"""The gate for files that litert-torch converted: parity with the torch module itself."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mobilenas.nn.conversion import converted
from mobilenas.nn.tracing import ForeignModule
from mobilenas.runners import LiteRTProcess
from mobilenas.verification.checked_export import CheckedFile
from mobilenas.verification.parity import agreement_check, parity_check
from mobilenas.verification.report import Check, Report
from mobilenas.verification.verify import TIMEOUT_SECONDS, check_is_tflite, run_model, running, tensor_words

Images = npt.NDArray[np.float32]
IMAGES = 4


def converted_export(foreign: ForeignModule, *, verify: bool = True) -> CheckedFile:
    """Converts a module by litert-torch, and checks the file.

    Args:
        foreign: The module.
        verify: Whether to check the file; without, the report is empty and LiteRT sees nothing of it.

    Raises:
        InputError: If the extra `litert-torch` is not installed or the module cannot be converted.
        VerificationError: If LiteRT does not run the file.
    """
    model = converted(foreign.module, foreign.shape)
    return CheckedFile(model, verify_converted(model, foreign) if verify else Report(()))


def verify_converted(model: bytes, foreign: ForeignModule, *, runtime: LiteRTProcess | None = None) -> Report:
    """Checks a converted file against the module that it was converted from.

    Args:
        model: The file.
        foreign: The module.
        runtime: A LiteRT process to use; by default one is started.

    Returns:
        Checks of the inputs and outputs, of parity with torch in float64 (1e-5 of the largest), and of the top-1 class
        of random images. What is not delegated is reported and does not fail: the operators are the converter's.

    Raises:
        VerificationError: If LiteRT does not load or run the file.
        InputError: If the file is no TFLite file at all.
    """
    check_is_tflite(model)
    images = np.random.default_rng(0).standard_normal((IMAGES, *foreign.shape)).astype(np.float32)
    with running(runtime) as process:
        answer, _ = process.request("inspect", model, timeout_seconds=TIMEOUT_SECONDS)
        reference = _exact(foreign.module, images)
        sizes = reference.shape[1:] if reference.ndim != 4 else (*reference.shape[2:], reference.shape[1])
        checks = [_interface(answer, "inputs", foreign.shape), _interface(answer, "outputs", sizes)]
        if all(check.passed for check in checks):
            exported = run_model(process, model, images)
            checks += [check(exported, reference, "float32") for check in (parity_check, agreement_check)]
        checks.append(_delegate(answer))
    return Report(tuple(checks))


def _interface(answer: Mapping[str, Any], name: str, sizes: Sequence[int]) -> Check:
    wanted = [{"shape": [1, *sizes], "dtype": "float32"}]
    given = [{"shape": tensor["shape"], "dtype": tensor["dtype"]} for tensor in answer[name]]
    return Check(name, given == wanted, tensor_words(given), tensor_words(wanted))


def _delegate(answer: Mapping[str, Any]) -> Check:
    partitions = answer["operators"].count("DELEGATE")
    outside = ", ".join(sorted(set(answer["undelegated"]))) or "nothing"
    return Check("delegate", True, f"{partitions} delegate partitions, outside: {outside}", "reported, no bound")


def _exact(module: nn.Module, images: Images) -> npt.NDArray[np.float64]:
    with torch.inference_mode():
        found = copy.deepcopy(module).eval().double()(torch.from_numpy(images).permute(0, 3, 1, 2).double())
    return np.asarray(found.numpy(), np.float64)
