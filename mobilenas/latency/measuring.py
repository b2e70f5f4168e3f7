"""The table of a device, brought up to date: what it lacks is measured where the device answers."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency.farthest import farthest_points
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.profiling import Profiler, Progress
from mobilenas.latency.steady import SteadyRunner
from mobilenas.latency.table import LatencyTable, load_table, table_path
from mobilenas.runners import Device, Runner, open_runner
from mobilenas.spaces import SearchSpace
from mobilenas.spaces.mnasnet import MnasNetSpace

CALIBRATION_NETWORKS = 14
"""Samples of a space; the published networks come on top."""
CANDIDATES = 200
DEFAULT_RESOLUTIONS = (160, 224)
Note = Callable[[str], None]


def up_to_date_table(
    device: Device,
    dtype: str,
    ops: Iterable[OpSpec],
    *,
    space: SearchSpace | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    note: Note = lambda text: None,
) -> LatencyTable:
    """The device's table with all of `ops` and a calibration; measures only what is not there.

    Args:
        device: The device.
        dtype: Element type.
        ops: Ops that the table shall have.
        space: Calibrate on networks of this space; without one, a table that has no calibration gets that of the
            MnasNet space.
        fresh: Throw away the old table and the journal of an interrupted run.
        progress: Told after every chunk of measurements.
        note: Told, in a sentence, what a user should know.

    Raises:
        DeviceError: If something must be measured and the device does not answer.
        InputError: If the table is not valid or cannot be written.
    """
    wanted = list(dict.fromkeys(ops))
    path = table_path(device, dtype)
    runner = open_runner(device)
    table = None if fresh else _usable(device, dtype, runner, note)
    if table is not None and all(op in table for op in wanted) and _is_calibrated(table, space):
        return table
    if fresh:
        path.with_name(path.name + ".partial").unlink(missing_ok=True)
    with runner:
        table = None if fresh else _usable(device, dtype, runner, lambda text: None)  # somebody may have measured
        networks = {} if table is not None and _is_calibrated(table, space) else _networks(space)
        profiler = Profiler(device=device, dtype=dtype, runner=runner, path=path, table=table, progress=progress)
        missing = sum(op not in profiler.table for op in wanted)
        note(f"measuring {missing} ops and {len(networks)} calibration networks on {device.name}")
        table = profiler.measure(wanted, networks)
    for name, reason in profiler.failures.items():
        note(f"not measured: {name}: {reason}")
    if profiler.steady.repeated_chunks:
        note(f"{profiler.steady.repeated_chunks} chunks were measured again, since the device was disturbed")
    if drift := profiler.steady.drift():
        note(f"{drift}; where that lasts, run: mobilenas profile --device {device.name} --fresh")
    return table


def steady_runner(device: Device, runner: Runner) -> SteadyRunner:
    """An open runner that is held against what the device's float32 table says it usually takes."""
    try:
        table = load_table(device, "float32")
    except InputError:
        table = None  # what measuring needs is the device; who needs the table is told what is wrong with it
    if table is None or runner.mismatch(vars(table.info)):
        return SteadyRunner(runner)
    return SteadyRunner(runner, op_us=table.info.sentinel_op_us, network_us=table.info.sentinel_network_us)


def load_predictor(device: str, dtype: str = "float32") -> LatencyPredictor:
    """The predictor of a device that has a table; measures nothing.

    Args:
        device: Name of a device, or path of its `.toml`.
        dtype: Element type.

    Raises:
        InputError: If the device is not known or has no table.
    """
    found = Device.load(device)
    table = load_table(found, dtype)
    if table is None:
        raise InputError(f"device {found.name} has no {dtype} table; run: mobilenas profile --device {device}")
    return LatencyPredictor(table)


def calibration_networks(space: SearchSpace, count: int = CALIBRATION_NETWORKS) -> dict[str, OpGraph]:
    """Networks of a space that span its range of work and of weight bytes.

    Args:
        space: The space.
        count: How many.

    Returns:
        Graphs by a name that says which sample of the space each is (seed 0).
    """
    rng = np.random.default_rng(0)
    archs = [space.decode(space.sample(rng)) for _ in range(CANDIDATES)]
    points = np.log([[arch.graph().macs, arch.graph().weight_bytes()] for arch in archs])
    chosen = farthest_points((points - points.mean(0)) / np.maximum(points.std(0), 1e-9), count)
    return {f"{_label(space)}{i}": archs[i].graph() for i in chosen}


def _usable(device: Device, dtype: str, runner: Runner, note: Note) -> LatencyTable | None:
    """The stored table, unless it was measured on another machine or runtime."""
    table = load_table(device, dtype)
    if table is None:
        return None
    why = runner.mismatch(vars(table.info))
    if why:
        note(f"the table of {device.name} is of another machine ({why}) and is measured anew")
    return None if why else table


def _is_calibrated(table: LatencyTable, space: SearchSpace | None) -> bool:
    if space is None:
        return bool(table.networks)
    return any(network.name.startswith(_label(space)) for network in table.networks)


def _label(space: SearchSpace) -> str:
    """What names of a space's networks begin with: the number of classes does not matter to a calibration."""
    return f"{space.name}@{space.decode(tuple(0 for _ in space.decisions)).resolution}#"


def _networks(space: SearchSpace | None) -> Mapping[str, OpGraph]:
    """What a table is calibrated on: samples of the space, and the published networks at its resolution.

    Samples alone lean to what the space is full of (regular convolutions, relu); what others write looks like the
    published networks.
    """
    spaces = [space] if space is not None else [MnasNetSpace(resolution=size) for size in DEFAULT_RESOLUTIONS]
    found: dict[str, OpGraph] = {}
    for each in spaces:
        found |= calibration_networks(each, CALIBRATION_NETWORKS // len(spaces))
    resolution = spaces[-1].decode(tuple(0 for _ in spaces[-1].decisions)).resolution
    for name in models.names():
        found[f"{name}@{resolution}"] = models.get(name, resolution=resolution).graph()
    return found
