"""Profiler: measures the ops and calibration networks that a table lacks."""

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.export.lowering import FORMS
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.journal import Journal, path_beside
from mobilenas.latency.overhead import overhead_us
from mobilenas.latency.preamble import TableInfo
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.sentinel import Visit
from mobilenas.latency.steady import NETWORK_CHUNK, SteadyRunner
from mobilenas.latency.table import LEAST_US, LatencyTable, Measurement
from mobilenas.runners import Device, Failure, Runner, TimingProtocol

Progress = Callable[[int, int], None]
"""Called with the number of visits done and the number of all visits."""

OP_PROTOCOL = TimingProtocol(visits=1, runs=40, visit_seconds=0.02, timeout_seconds=30)
NETWORK_PROTOCOL = TimingProtocol(visits=1, runs=40, visit_seconds=0.04, warmup_runs=1, timeout_seconds=60)
OP_VISITS, NETWORK_VISITS, NETWORK_VISITS_BEHIND_A_GATE = 2, 6, 12
"""Visits that every op and network gets; those of networks are multiples of those of ops.

Source: of 20 networks on a shared server, whose visits differ by 4 %, figures of six visits repeat within 1.5 %, of
twelve within 1.25 and of 24 within 1.1 % (standard deviations; `benchmarks/LOG.md`, 2026-12-01); in a busier quarter of
an hour, in which visits differ by 8 %, of twelve within 1.5. Where there is no gate, visits are made again as the
sentinel says.
"""
MOST_OP_VISITS, MOST_NETWORK_VISITS = 6, 24
"""Visits of an op whose fastest two, or of a network whose fastest three do not agree before."""
TIGHT, TIGHT_US = 0.03, 0.25
"""Difference between an op's two fastest visits, relative or in microseconds, from which on they agree."""
AGREEING_NETWORK_VISITS, NETWORK_TIGHT = 3, 0.03
"""The same of a network's fastest visits: where visits differ by 20 %, more than twelve are needed."""
CHUNK = 32
"""Ops that go to the device in one trip."""
MOST_COPIES = 32
"""Of an op in one model, where the device's clock is too coarse for one."""


class Profiler:
    """Measures on one open runner, in rounds over the whole session.

    Every round visits each calibration network and a share of the ops, so that the visits of one op or network lie far
    apart: disturbances come in episodes. They only ever add to a latency; an op whose two fastest visits do not agree
    is visited again, up to a budget.

    Args:
        device: The device.
        dtype: Element type of the models.
        runner: An open runner of the device.
        path: Where the table is or will be; the journal stands beside it.
        table: What was measured before on this very device; None starts anew.
        progress: Told after every chunk.

    Attributes:
        failures: Why the runtime refused ops and networks, by name.
        set_aside: Where an interrupted run's journal went that could not be gone on with; None if there was none.
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
            unit=runner.unit,
            overhead_us=table.info.overhead_us if table else overhead_us(runner, OP_PROTOCOL),
        )
        self.failures: dict[str, str] = {}
        self._least_us = runner.least_us
        self._short_us: dict[OpSpec, float] = {}
        self.steady = SteadyRunner(runner, **(table.info.usual_us if table else {}))
        self.table = (table or LatencyTable(info)).updated(info, {})
        self._path, self._progress = path, progress or (lambda done, total: None)
        self._journal = Journal(path_beside(path), {**environment, "forms": str(FORMS)})
        self.set_aside = self._journal.aside
        for sentinel, visits in ((self.steady.block, self._journal.ops), (self.steady.network, self._journal.networks)):
            sentinel.remember(visit for seen in visits.values() for visit in seen)
        self._done, self._total = 0, 0

    def measure(
        self,
        ops: Iterable[OpSpec],
        networks: Mapping[str, OpGraph] | None = None,
        *,
        ops_of_networks: bool = True,
    ) -> LatencyTable:
        """Measures what the table lacks and saves it.

        Args:
            ops: Ops that the table shall have.
            networks: Calibration networks by name.
            ops_of_networks: Whether the table shall have their ops too; else they are interpolated.

        Returns:
            The new table. Ops that the runtime refused are in `failures` and not in the table.

        Raises:
            DeviceError: If the device is lost.
            InputError: If the table or its journal cannot be written.
        """
        known = {network.name for network in self.table.networks}
        graphs = {name: graph for name, graph in (networks or {}).items() if name not in known}
        theirs = [op for graph in graphs.values() for op in graph.op_counts()] if ops_of_networks else []
        missing = [op for op in dict.fromkeys([*ops, *theirs]) if op not in self.table]
        self._visit_in_rounds(missing, graphs)
        self.table = self.table.updated(self.info(), self._measurements(missing))
        return self.store(self.table.updated(self.info(), {}, self._calibration_networks(graphs)))

    def info(self) -> TableInfo:
        """The preamble of a table of this session: it also says what the sentinels usually take."""
        return replace(
            self.table.info,
            sentinel_block_us=self.steady.block.usual_us,
            sentinel_network_us=self.steady.network.usual_us,
            gate_us=self.steady.gate_us,
        )

    def measure_apart(
        self, ops: Sequence[OpSpec], networks: Mapping[str, OpGraph]
    ) -> tuple[dict[OpSpec, float], dict[str, float]]:
        """Measures ops and whole networks and changes no table; `store` ends what this begins.

        Returns:
            Microseconds by op, the cost of starting an inference taken off, and by network, with it; without what the
            runtime refused.

        Raises:
            DeviceError: If the device is lost.
            InputError: If the journal cannot be written.
        """
        self._visit_in_rounds(ops, networks)
        return {op: row.latency_us for op, row in self._measurements(ops).items()}, self._networks_us(networks)

    def store(self, table: LatencyTable) -> LatencyTable:
        """Saves a table that holds what was measured; the journal is done with.

        Raises:
            InputError: If it cannot be written.
        """
        self.table = table
        table.save(self._path)
        self._journal.remove()
        return table

    def _visit_in_rounds(self, ops: Sequence[OpSpec], graphs: Mapping[str, OpGraph]) -> None:
        network_visits = NETWORK_VISITS_BEHIND_A_GATE if self.steady.has_gate else NETWORK_VISITS
        self._total = len(ops) * OP_VISITS + len(graphs) * network_visits
        self._done = sum(min(self._visits(op), OP_VISITS) for op in ops)
        self._done += sum(min(self._network_visits(name), network_visits) for name in graphs)
        dtype = self.table.info.dtype
        files = {name: write_tflite(graph, random_weights(graph), dtype=dtype) for name, graph in graphs.items()}
        rounds = network_visits if graphs else OP_VISITS
        stride = rounds // OP_VISITS
        for number in range(rounds):
            self._visit_ops([op for i, op in enumerate(ops) if self._visits(op) <= (number - i % stride) // stride])
            due = [name for name in files if self._network_visits(name) <= number]
            self._visit_networks({name: files[name] for name in due})
        self._settle(ops, files)

    def _settle(self, ops: Sequence[OpSpec], files: Mapping[str, bytes]) -> None:
        """Visits again what the visits so far do not agree on."""
        for _ in range(MOST_NETWORK_VISITS):
            due = [op for op in ops if self._visits(op) < MOST_OP_VISITS and not self._is_settled(op)]
            networks = {name: file for name, file in files.items() if not self._is_network_settled(name)}
            if not due and not networks:
                return
            self._total += len(due) + len(networks)
            self._visit_ops(due)
            self._visit_networks(networks)

    def _is_settled(self, op: OpSpec) -> bool:
        if str(op) in self.failures:
            return True
        fastest, second = sorted(visit.us for visit in self._journal.ops[op])[:2]
        return second - fastest <= max(TIGHT * fastest, TIGHT_US)

    def _is_network_settled(self, name: str) -> bool:
        """Whether its visits are enough; where the runner has no gate, the sentinel has told which to make again."""
        if name in self.failures or not self.steady.has_gate or self._network_visits(name) >= MOST_NETWORK_VISITS:
            return True
        fastest = sorted(visit.us for visit in self._journal.networks[name])[:AGREEING_NETWORK_VISITS]
        return fastest[-1] <= (1 + NETWORK_TIGHT) * fastest[0]

    def _visits(self, op: OpSpec) -> int:
        return len(self._journal.ops.get(op, ()))

    def _network_visits(self, name: str) -> int:
        return len(self._journal.networks.get(name, ()))

    def _visit_ops(self, ops: Sequence[OpSpec]) -> None:
        due = [op for op in ops if str(op) not in self.failures]
        for start in range(0, len(due), CHUNK):
            self._visit_chunk(due[start : start + CHUNK])

    def _visit_chunk(self, chunk: Sequence[OpSpec]) -> None:
        """Visits ops in one trip; those that turn out to be too short for the clock, again in several copies."""
        dtype, copies = self.table.info.dtype, [self._copies(op) for op in chunk]
        files = [write_micro_model(op, dtype=dtype, copies=n) for op, n in zip(chunk, copies, strict=True)]
        short = []
        timings = self.steady.visit(files, OP_PROTOCOL, self.steady.block)
        for op, n, timing in zip(chunk, copies, timings, strict=True):
            if isinstance(timing, Failure):
                self.failures[str(op)] = timing.reason
            elif n == 1 and timing.latency_us < self._least_us:
                self._short_us[op] = timing.latency_us
                short.append(op)
            else:
                overhead_us = min(self.table.info.overhead_us, timing.latency_us)
                one_us = overhead_us + (timing.latency_us - overhead_us) / n
                self._journal.add_op(op, Visit.of(timing)._replace(us=one_us))
        self._tell(len(chunk) - len(short))
        if short:
            self._visit_chunk(short)

    def _copies(self, op: OpSpec) -> int:
        """How often an op must stand in a model to take as long as the device's clock needs; 1 until that is known."""
        seen_us = self._journal.ops[op][0].us if op in self._journal.ops else self._short_us.get(op, self._least_us)
        if seen_us >= self._least_us:
            return 1
        return min(MOST_COPIES, math.ceil(self._least_us / max(seen_us, self._least_us / MOST_COPIES)))

    def _visit_networks(self, files: Mapping[str, bytes]) -> None:
        due = [name for name in files if name not in self.failures]
        for start in range(0, len(due), NETWORK_CHUNK):
            chunk = due[start : start + NETWORK_CHUNK]
            visits = self.steady.visit([files[name] for name in chunk], NETWORK_PROTOCOL, self.steady.network)
            for name, timing in zip(chunk, visits, strict=True):
                if isinstance(timing, Failure):
                    self.failures[name] = timing.reason
                else:
                    self._journal.add_network(name, Visit.of(timing))
            self._tell(len(chunk))

    def _tell(self, visits: int) -> None:
        self._done += visits
        self._progress(self._done, self._total)

    def _calibration_networks(self, graphs: Mapping[str, OpGraph]) -> tuple[CalibrationNetwork, ...]:
        predictor = LatencyPredictor(self.table)
        return tuple(
            CalibrationNetwork.of(
                name,
                graphs[name],
                lambda op: predictor.op_latency(op).latency_us,
                dtype=self.table.info.dtype,
                measured_us=measured_us - self.table.info.overhead_us,
            )
            for name, measured_us in self._networks_us(graphs).items()
        )

    def _networks_us(self, names: Iterable[str]) -> dict[str, float]:
        """What networks take, without those that the runtime refused."""
        fine = [name for name in names if name in self._journal.networks and name not in self.failures]
        found_us = self.steady.networks_us([self._journal.networks[name] for name in fine])
        return dict(zip(fine, found_us, strict=True))

    def _measurements(self, ops: Iterable[OpSpec]) -> dict[OpSpec, Measurement]:
        """The rows of ops, without those that the runtime refused."""
        visits = {op: self._journal.ops[op] for op in ops if op in self._journal.ops}
        found_us = self.steady.ops_us(list(visits.values()))
        return {op: self._measurement(seen, us) for (op, seen), us in zip(visits.items(), found_us, strict=True)}

    def _measurement(self, visits: Sequence[Visit], found_us: float) -> Measurement:
        low, high = np.percentile([visit.us for visit in visits], [25, 75])
        marginal_us = max(found_us - self.table.info.overhead_us, LEAST_US)
        return Measurement(marginal_us, float(high - low) / 2, sum(visit.runs for visit in visits), len(visits))


def _version() -> str:
    try:
        return version("mobilenas")
    except PackageNotFoundError:
        return "unknown"
