"""Profiler: measures the ops and calibration networks that a table lacks."""

import datetime
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np

from mobilenas.errors import DeviceError
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import GraphBuilder, OpGraph, OpKind, OpSpec
from mobilenas.latency.calibration import CalibrationNetwork
from mobilenas.latency.journal import Journal
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.table import LatencyTable, Measurement, TableInfo
from mobilenas.runners import Device, Failure, Runner, Timing, TimingProtocol

Key = TypeVar("Key", OpSpec, str)
Progress = Callable[[int, int], None]
"""Called with the number of visits done and the number of all visits."""

OP_PROTOCOL = TimingProtocol(visits=3, runs=40, visit_seconds=0.04, timeout_seconds=30)
NETWORK_PROTOCOL = TimingProtocol(visits=5, runs=40, visit_seconds=0.15, timeout_seconds=60)
CHUNK, NETWORK_CHUNK = 32, 4
"""Ops, and networks, that go to the device in one trip."""
SENTINEL = OpSpec(OpKind.CONV2D, ((28, 28, 120),), 40)
USUAL_PERCENTILE = 10
"""Of all its timings so far, what the sentinel usually takes: most of a run may be disturbed."""
DRIFT = 1.05
"""A chunk around which the sentinel takes longer than this times its usual time is measured again."""
RETRIES = 3
PAUSE_SECONDS = 0.2
"""Wait before the first retry; it doubles with each."""


class Profiler:
    """Measures on one open runner, in passes: every op has its first visit before any has its second.

    A sentinel op is timed before and after each chunk; where it is slow, the machine was disturbed, and after a pause
    the chunk's visits are made again, at most three times. Of all tries the one with the fastest sentinel counts.

    Args:
        device: The device.
        dtype: Element type of the models.
        runner: An open runner of the device.
        path: Where the table is or will be; the journal stands beside it.
        table: What was measured before on this very device; None starts anew.
        progress: Told after every chunk.
    """

    def __init__(
        self,
        *,
        device: Device,
        dtype: str,
        runner: Runner,
        path: Path,
        table: LatencyTable | None = None,
        progress: Progress | None = None,
    ) -> None:
        environment = dict(runner.environment())
        info = TableInfo(
            device=device.name,
            dtype=dtype,
            threads=device.threads,
            date=datetime.date.today().isoformat(),
            mobilenas=_version(),
            cpu=environment["cpu"],
            runtime=environment["runtime"],
            pinning=environment["pinning"],
            governor=environment["governor"],
        )
        self.failures: dict[str, str] = {}
        self.remeasured_chunks = 0
        self._runner, self._path, self._progress = runner, path, progress or (lambda done, total: None)
        self._journal = Journal(path.with_name(path.name + ".partial"), environment)
        self._sentinel_us: list[float] = []
        overhead_us = table.info.overhead_us if table else self._measure_overhead_us()
        self.table = (table or LatencyTable(info)).updated(replace(info, overhead_us=overhead_us), {})

    def measure(self, ops: Iterable[OpSpec], networks: Mapping[str, OpGraph] | None = None) -> LatencyTable:
        """Measures what the table lacks and saves it.

        Args:
            ops: Ops that the table shall have.
            networks: Calibration networks by name; their ops are measured as well.

        Returns:
            The new table. Ops that the runtime refused are in `failures` and not in the table.

        Raises:
            DeviceError: If the device is lost.
            InputError: If the table or its journal cannot be written.
        """
        graphs = {name: graph for name, graph in (networks or {}).items() if name not in self._known_networks()}
        wanted = dict.fromkeys([*ops, *(op for graph in graphs.values() for op in graph.op_counts())])
        missing = [op for op in wanted if op not in self.table]
        total = len(missing) * OP_PROTOCOL.visits + len(graphs) * NETWORK_PROTOCOL.visits
        dtype = self.table.info.dtype

        def write_op(op: OpSpec) -> bytes:
            return write_micro_model(op, dtype=dtype)

        def write_network(name: str) -> bytes:
            return write_tflite(graphs[name], random_weights(graphs[name]), dtype=dtype)

        op_visits = self._journal.ops
        self._visit_all(missing, op_visits, write_op, self._journal.add_op, OP_PROTOCOL, (0, total))
        done = len(missing) * OP_PROTOCOL.visits
        visits = {name: [(us, 0) for us in times] for name, times in self._journal.networks.items()}
        self._visit_all(list(graphs), visits, write_network, self._add_network(visits), NETWORK_PROTOCOL, (done, total))
        rows = {op: self._measurement(op_visits[op]) for op in missing if op in op_visits}
        self.table = self.table.updated(self.table.info, rows)
        self.table = self.table.updated(self.table.info, {}, self._calibration_networks(graphs, visits))
        self.table.save(self._path)
        self._journal.remove()
        return self.table

    def _known_networks(self) -> set[str]:
        return {network.name for network in self.table.networks}

    def _add_network(self, visits: dict[str, list[tuple[float, int]]]) -> Callable[[str, float, int], None]:
        def add(name: str, latency_us: float, runs: int) -> None:
            self._journal.add_network(name, latency_us)
            visits.setdefault(name, []).append((latency_us, runs))

        return add

    def _calibration_networks(
        self, graphs: Mapping[str, OpGraph], visits: Mapping[str, Sequence[tuple[float, int]]]
    ) -> tuple[CalibrationNetwork, ...]:
        predictor = LatencyPredictor(self.table)
        made = []
        for name, graph in graphs.items():
            if name in visits:
                op_sum_us = sum(n * predictor.op_latency(op).latency_us for op, n in graph.op_counts().items())
                measured_us = float(np.median([us for us, _ in visits[name]])) - self.table.info.overhead_us
                made.append(CalibrationNetwork(name, op_sum_us, graph.weight_bytes(self.table.info.dtype), measured_us))
        return tuple(made)

    def _visit_all(
        self,
        keys: Sequence[Key],
        visits: Mapping[Key, Sequence[tuple[float, int]]],
        write: Callable[[Key], bytes],
        add: Callable[[Key, float, int], None],
        protocol: TimingProtocol,
        progress: tuple[int, int],
    ) -> None:
        """Brings every key to the protocol's number of visits, one pass over all keys after the other."""
        done, total = progress
        size = CHUNK if protocol is OP_PROTOCOL else NETWORK_CHUNK
        once = replace(protocol, visits=1)
        for number in range(protocol.visits):
            due = [key for key in keys if len(visits.get(key, ())) <= number and str(key) not in self.failures]
            done += len(keys) - len(due)
            for start in range(0, len(due), size):
                chunk = due[start : start + size]
                for key, timing in zip(chunk, self._undisturbed([write(key) for key in chunk], once), strict=True):
                    if isinstance(timing, Failure):
                        self.failures[str(key)] = timing.reason
                    else:
                        add(key, timing.latency_us, timing.runs)
                done += len(chunk)
                self._progress(done, total)

    def _undisturbed(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        """One visit of each model, made again while the sentinel says that the machine was disturbed."""
        sentinel = write_micro_model(SENTINEL, dtype=self.table.info.dtype)
        best_us, best = np.inf, list[Timing | Failure]()
        for attempt in range(RETRIES + 1):
            first, *timings, last = self._runner.measure([sentinel, *models, sentinel], protocol)
            if isinstance(first, Failure) or isinstance(last, Failure):
                raise DeviceError(f"the device no longer runs the sentinel op ({first}); check it and run this again")
            slower_us = max(first.latency_us, last.latency_us)
            self._sentinel_us += [first.latency_us, last.latency_us]
            if slower_us < best_us:
                best_us, best = slower_us, timings
            if slower_us <= DRIFT * float(np.percentile(self._sentinel_us, USUAL_PERCENTILE)):
                break
            if attempt < RETRIES:
                self.remeasured_chunks += 1
                time.sleep(PAUSE_SECONDS * 2**attempt)
        return best

    def _measurement(self, visits: Sequence[tuple[float, int]]) -> Measurement:
        times = np.array([us for us, _ in visits])
        low, high = np.percentile(times, [25, 75])
        marginal_us = max(float(np.median(times)) - self.table.info.overhead_us, 0.0)
        return Measurement(marginal_us, float(high - low) / 2, sum(runs for _, runs in visits), len(visits))

    def _measure_overhead_us(self) -> float:
        """The cost of an inference that no op accounts for: what a chain of tiny ops takes as its length goes to 0."""
        lengths = (1, 17)
        models = [_chain(length) for length in lengths]
        timings = self._runner.measure(models, OP_PROTOCOL)
        short, long = (t.latency_us if isinstance(t, Timing) else np.nan for t in timings)
        if not np.isfinite([short, long]).all():
            raise DeviceError(f"the device does not run the simplest model: {timings[0]}")
        return max(float(short - (long - short) / (lengths[1] - lengths[0])), 0.0)


def _chain(length: int) -> bytes:
    builder = GraphBuilder((1, 1, 8))
    x = builder.inputs[0]
    for i in range(length):
        x = builder.add(x, x, name=f"add_{i}")
    graph = builder.finish(x)
    return write_tflite(graph, {})


def _version() -> str:
    try:
        return version("mobilenas")
    except PackageNotFoundError:
        return "unknown"
