"""Element types that a search's result may have."""

from collections.abc import Callable
from itertools import permutations

import numpy as np

from mobilenas.latency import CompiledLatency, LatencyPredictor, LatencyTable, load_table
from mobilenas.run.folder import RunFolder
from mobilenas.run.source import Note
from mobilenas.runners import Device, open_runner
from mobilenas.spaces import SearchSpace

AUTO, AUTO_DTYPES = "auto", ("float32", "int8")
"""The dtype that stands for the faster of these two that keeps its accuracy."""
COMPARED_NETWORKS = 64
"""Networks of the space whose predicted latencies say which dtype is the faster one."""


def dtypes_in_order(
    folder: RunFolder, space: SearchSpace, table: Callable[[str], LatencyTable], note: Note
) -> tuple[str, ...]:
    """The dtypes that the result may have, the one that is faster in this space on the run's device first.

    Args:
        folder: The run's folder.
        space: Its space.
        table: The device's table of a dtype.
        note: Told of the latencies that were compared.
    """
    settings = folder.settings
    if settings.dtype != AUTO:
        return (settings.dtype,)

    def ask() -> list[str]:
        networks = space.sample_batch(COMPARED_NETWORKS, np.random.default_rng(settings.seed))
        typical_ms, possible = {}, possible_dtypes(Device.load(settings.device))
        if len(possible) == 1:
            folder.log(only_words(settings.device, possible[0]))
            return [*possible]
        for dtype in AUTO_DTYPES:
            compiled = CompiledLatency(LatencyPredictor(table(dtype)), space)
            typical_ms[dtype] = float(np.median(compiled.latency_ms(networks)))
        note("typical latency: " + ", ".join(f"{dtype} {ms:.3g} ms" for dtype, ms in typical_ms.items()))
        return sorted(AUTO_DTYPES, key=lambda dtype: typical_ms[dtype])

    return tuple(folder.once("dtypes", ask, _is_answer))


def _is_answer(answer: object) -> bool:
    return answer in [list(found) for count in (1, 2) for found in permutations(AUTO_DTYPES, count)]


def possible_dtypes(device: Device) -> tuple[str, ...]:
    """Those of `AUTO_DTYPES` that a device has a table of, or can measure one; all where it has none at all."""
    if open_runner(device).has_connection:
        return AUTO_DTYPES
    return tuple(dtype for dtype in AUTO_DTYPES if load_table(device, dtype) is not None) or AUTO_DTYPES


def only_words(device: str, dtype: str) -> str:
    """Why `auto` has no choice on a device."""
    others = " or ".join(name for name in AUTO_DTYPES if name != dtype)
    return f"--dtype auto: {device} has no {others} table and no connection to measure one; it is {dtype}"
