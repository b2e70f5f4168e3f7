"""The table of a device, brought up to date: what it lacks is measured where the device answers."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.latency.calibration_set import (
    CANDIDATES,
    DEFAULT_RESOLUTIONS,
    calibration_networks,
    few_networks,
    label,
    networks_for,
)
from mobilenas.latency.choice import next_ops
from mobilenas.latency.journal import path_beside
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.profiling import Profiler, Progress
from mobilenas.latency.steady import SteadyRunner
from mobilenas.latency.support import support_ops
from mobilenas.latency.table import LatencyTable, command_for_table, load_table, own_table_path
from mobilenas.latency.transferring import LEAST_NETWORKS, MeasuredNetwork, telling_ops, transfer
from mobilenas.runners import Device, Runner, open_runner
from mobilenas.spaces import SearchSpace
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.storage import set_aside

Note = Callable[[str], None]
TRANSFER_NETWORKS, TRANSFER_OPS = 10, 80
TELLING_NETWORKS = 40
"""Samples of a space that stand for all of it where ops are chosen for a transfer."""


def up_to_date_table(
    device: Device,
    dtype: str,
    ops: Iterable[OpSpec],
    *,
    space: SearchSpace | None = None,
    share: float | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    note: Note = lambda text: None,
) -> LatencyTable:
    """The device's table with all of `ops` and a calibration; measures only what is not there.

    A table that was transferred or imported is left as it is: its figures and measured ones do not add up.

    Args:
        device: The device.
        dtype: Element type.
        ops: Ops that the table shall have.
        space: Calibrate on networks of this space; without one, a table that has no calibration gets that of the
            MnasNet space.
        share: Of `ops`, measure only this share, those that tell most about networks of the space; the others are
            interpolated. None keeps to what the table was made with, which is all where there is none.
        fresh: Throw away the old table and the journal of an interrupted run.
        progress: Told after every chunk of measurements.
        note: Told, in a sentence, what a user should know.

    Raises:
        DeviceError: If something must be measured and the device does not answer.
        InputError: If the table is not valid or cannot be written, or there is none and nothing is connected.
    """
    wanted = list(dict.fromkeys(ops))
    path = own_table_path(device, dtype)
    runner = open_runner(device)
    table = None if fresh else _usable(device, dtype, runner, note)
    if table is not None and _is_complete(table, wanted, space, share):
        return table
    if table is None and not runner.has_connection:
        raise _no_table(device, dtype)
    if fresh:
        path_beside(path).unlink(missing_ok=True)
    with runner:
        if not fresh:  # somebody may have measured, and what device it is may have shown only now
            table = _usable(device, dtype, runner, note if table is not None else lambda text: None)
            if table is None and (old := set_aside(path)):
                note(f"the table that was there is kept as {old}")
        networks = {} if table is not None and _is_calibrated(table, space) else networks_for(space)
        profiler = Profiler(device=device, dtype=dtype, runner=runner, path=path, table=table, progress=progress)
        if share is not None:
            profiler.table = profiler.table.updated(replace(profiler.table.info, share=share), {})
        part = profiler.table.info.share if space is not None else 1.0
        _note_set_aside(profiler, note)
        support = [op for op in support_ops() if networks and op not in wanted]
        theirs = {op for graph in networks.values() for op in graph.op_counts()} if part == 1 else set()
        missing = sum(op not in profiler.table for op in theirs.union(wanted, support))
        of = f"{100 * part:g} % of " if part < 1 else ""
        note(f"measuring {of}{missing} ops and {len(networks)} calibration networks on {device.name}")
        if space is not None and part < 1:
            _measure_share(profiler, wanted, space, part)
            table = profiler.measure(support, networks, ops_of_networks=False)
        else:
            table = profiler.measure([*wanted, *support], networks)
    for name, reason in profiler.failures.items():
        note(f"not measured: {name}: {reason}")
    _note_disturbance(profiler, device, note)
    return table


def transferred_table(
    device: Device,
    dtype: str,
    source: LatencyTable,
    *,
    space: SearchSpace | None = None,
    networks: int = TRANSFER_NETWORKS,
    ops: int = TRANSFER_OPS,
    progress: Progress | None = None,
    note: Note = lambda text: None,
) -> LatencyTable:
    """A table from that of another device or dtype and a few networks and ops, which are measured; it is stored.

    Args:
        device: What the table will be of.
        dtype: Its element type.
        source: The other table.
        space: Half of the networks are samples of it (by default of the MnasNet space), half are published ones.
        networks: How many, at least five.
        ops: How many; those that tell most about networks of the space and published ones.
        progress: Told after every chunk of measurements.
        note: Told, in a sentence, what a user should know.

    Raises:
        DeviceError: If the device does not answer.
        InputError: If there are too few networks, or the table cannot be written.
    """
    if networks < LEAST_NETWORKS:
        raise InputError(f"{networks} networks are too few for a transfer; give at least {LEAST_NETWORKS}")
    chosen_space = space or MnasNetSpace(resolution=DEFAULT_RESOLUTIONS[-1])
    graphs = few_networks(chosen_space, networks)
    population = [*calibration_networks(chosen_space, TELLING_NETWORKS).values(), *networks_for(chosen_space).values()]
    telling = telling_ops(source, population, ops)
    with open_runner(device) as runner:
        profiler = Profiler(
            device=device, dtype=dtype, runner=runner, path=own_table_path(device, dtype), progress=progress
        )
        _note_set_aside(profiler, note)
        note(f"measuring {len(graphs)} networks and {len(telling)} ops on {device.name}")
        op_us, network_us = profiler.measure_apart(telling, graphs)
        measured = [MeasuredNetwork(name, graphs[name], latency_us) for name, latency_us in network_us.items()]
        table = profiler.store(transfer(source, profiler.info(), measured, op_us))
    for each in table.notes:
        note(each)
    _note_disturbance(profiler, device, note)
    return table


def load_predictor(device: str, dtype: str = "float32", *, note: Note = lambda text: None) -> LatencyPredictor:
    """The predictor of a device that has a table; measures nothing.

    Args:
        device: Name of a device, or path of its `.toml`.
        dtype: Element type.
        note: Told if the table was measured on another machine or runtime, or on a disturbed one.

    Raises:
        InputError: If the device is not known or has no table.
    """
    found = Device.load(device)
    table = load_table(found, dtype)
    if table is None:
        raise _no_table(found, dtype)
    if why := open_runner(found).mismatch(vars(table.info)):
        note(f"the table of {found.name} is of another machine ({why})")
    if table.doubt:
        note(table.doubt)
    return LatencyPredictor(table)


def _no_table(device: Device, dtype: str) -> InputError:
    return InputError(f"device {device.name} has no {dtype} table; run: {command_for_table(device, dtype)}")


def steady_runner(device: Device, runner: Runner) -> SteadyRunner:
    """An open runner that is held against what the device's float32 table says it usually takes."""
    try:
        table = load_table(device, "float32")
    except InputError:
        table = None  # what measuring needs is the device; who needs the table is told what is wrong with it
    if table is None or runner.mismatch(vars(table.info)):
        return SteadyRunner(runner)
    return SteadyRunner(runner, **table.info.usual_us)


def _note_set_aside(profiler: Profiler, note: Note) -> None:
    if profiler.set_aside:
        note(f"an interrupted run that is damaged or of another device or runtime is kept as {profiler.set_aside}")


def _note_disturbance(profiler: Profiler, device: Device, note: Note) -> None:
    if profiler.steady.repeated_visits:
        note(f"{profiler.steady.repeated_visits} visits were made again, since the device was disturbed")
    if drift := profiler.steady.drift():
        note(f"{drift}; where that lasts, run: mobilenas profile --device {device.name} --fresh")


def _usable(device: Device, dtype: str, runner: Runner, note: Note) -> LatencyTable | None:
    """The stored table, unless it was measured on another machine or runtime."""
    table = load_table(device, dtype)
    if table is None:
        return None
    why = runner.mismatch(vars(table.info))
    if why:
        note(f"the table of {device.name} is of another machine ({why}) and is measured anew")
    return None if why else table


def _is_complete(table: LatencyTable, wanted: Sequence[OpSpec], space: SearchSpace | None, share: float | None) -> bool:
    if table.info.method != "measured":
        return True
    part = (table.info.share if share is None else share) if space is not None else 1.0
    return sum(op in table for op in wanted) >= part * len(wanted) and _is_calibrated(table, space)


def _measure_share(profiler: Profiler, ops: Sequence[OpSpec], space: SearchSpace, share: float) -> None:
    """Measures the most telling ops, in batches: what one batch found guides the choice of the next."""
    rng = np.random.default_rng(0)
    population = [space.decode(space.sample(rng)).graph().op_counts() for _ in range(CANDIDATES)]
    while (lacking := math.ceil(share * len(ops)) - sum(op in profiler.table for op in ops)) > 0:
        measured = {op: row.latency_us for op, row in profiler.table.ops.items()}
        batch = next_ops(population, [op for op in ops if str(op) not in profiler.failures], measured, lacking)
        if not batch:
            return
        profiler.measure(batch)


def _is_calibrated(table: LatencyTable, space: SearchSpace | None) -> bool:
    if space is None:
        return bool(table.networks)
    return any(network.name.startswith(label(space)) for network in table.networks)
