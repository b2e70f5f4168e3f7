"""measured_excerpts: operators of a file that no delegate takes, timed as they stand there."""

from collections.abc import Mapping

from mobilenas.export import Excerpt
from mobilenas.graph import OpSpec
from mobilenas.latency.measuring import steady_runner
from mobilenas.latency.profiling import CHUNK, OP_PROTOCOL, OP_VISITS
from mobilenas.runners import Device, Timing, open_runner


def measured_excerpts(device: Device, excerpts: Mapping[OpSpec, Excerpt], overhead_us: float) -> dict[OpSpec, float]:
    """What each op costs in the form that it has in its file, in the unit of the device's runner.

    Args:
        device: Where they are timed.
        excerpts: The operators, by the op that they are.
        overhead_us: The cost of an inference that no op accounts for, which is taken off.

    Returns:
        The ops that the runtime runs; whole files alone say what the others are.

    Raises:
        DeviceError: If the device does not answer.
        InputError: If a constant of an operator is damaged.
    """
    found: dict[OpSpec, float] = {}
    ops = list(excerpts)
    if not ops:
        return found
    with open_runner(device) as runner:
        steady = steady_runner(device, runner)
        for start in range(0, len(ops), CHUNK):
            chunk = ops[start : start + CHUNK]
            files = [excerpts[op].file() for op in chunk]
            rounds = [steady.visit(files, OP_PROTOCOL, steady.block) for _ in range(OP_VISITS)]
            for op, *timings in zip(chunk, *rounds, strict=True):
                visits = [timing for timing in timings if isinstance(timing, Timing)]
                if visits:
                    found[op] = max(Timing.merged(visits).latency_us - overhead_us, 0.0)
    return found
