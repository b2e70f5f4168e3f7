"""search: from settings to a file that meets the target."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mobilenas.arch import Arch
from mobilenas.errors import InputError, MobilenasError, TargetError
from mobilenas.export import random_weights, write_tflite
from mobilenas.history import History, Trial, write_pareto_csv
from mobilenas.latency import LatencyPredictor, profiling_seconds
from mobilenas.latency.profiling import Progress as ProfilingProgress
from mobilenas.objectives import Bounds
from mobilenas.run.comparison import fitting_networks
from mobilenas.run.dtypes import dtypes_in_order
from mobilenas.run.folder import RunFolder
from mobilenas.run.measuring import REFERENCE, measure_interleaved
from mobilenas.run.opening import (
    check_names,
    measured_table,
    opened_bounds,
    opened_evaluator,
    opened_space,
    opened_table,
    opened_workers,
)
from mobilenas.run.progress import feasible_text
from mobilenas.run.result import Measured, SearchResult
from mobilenas.run.seeds import derived_seed
from mobilenas.run.settings import SearchSettings
from mobilenas.run.source import Exported, Source, open_source
from mobilenas.run.trials import TrialLoop, Watch
from mobilenas.runners import Device, open_runner
from mobilenas.spaces import Genotype
from mobilenas.storage import write_atomically, write_json

MOST_CANDIDATES = 6
"""Candidates that are measured before the run gives up."""
Note = Callable[[str], None]


def search(
    path: Path,
    settings: SearchSettings | None,
    *,
    note: Note = lambda text: None,
    warn: Note | None = None,
    progress: ProfilingProgress | None = None,
    watch: Watch = lambda progress: None,
) -> SearchResult:
    """Runs a search, or goes on with one that was interrupted.

    Args:
        path: The run's folder.
        settings: Of a new run; None goes on with the run in `path`.
        note: Told of what happens, a line each.
        warn: Told, instead of `note`, what makes the result doubtful.
        progress: Told how far profiling is.
        watch: Told how far the trials are.

    Returns:
        The result, which is also in `result.json`. Its file measures at most the target; where the device does not
        answer a search without images, it is predicted to.

    Raises:
        TargetError: If the target cannot be met; `result.json` says how near the run came, where it came so far.
        InputError: If the settings or the data are not accepted, the folder cannot be written, or all trials failed.
        DeviceError: If the device fails.
        VerificationError: If the exported file is not what was trained.
    """
    if settings is not None:
        check_names(settings)
    source = open_source(settings) if settings else None
    with RunFolder(path, settings) as folder, ExitStack() as stack:

        def say(text: str) -> None:
            folder.log(text)
            note(text)

        opened = _Search(folder, stack, source or open_source(folder.settings), say, progress, watch)
        if opened.doubt:
            folder.log(opened.doubt)
            (warn or note)(opened.doubt)
        return opened.run()


class _Search:
    """One search in an open run folder; the stack ends its workers."""

    def __init__(
        self,
        folder: RunFolder,
        stack: ExitStack,
        source: Source,
        note: Note,
        progress: ProfilingProgress | None,
        watch: Watch,
    ) -> None:
        self._folder, self._source, self._note = folder, source, note
        self._settings = folder.settings
        self._device = Device.load(self._settings.device)
        self._space = opened_space(folder, source)
        self._evaluator = opened_evaluator(source, self._space)
        self._workers = stack.enter_context(opened_workers(folder, self._evaluator, note))
        note(
            f"space {self._space.name}: {self._space.size:.2g} genotypes, {len(self._space.distinct_ops())} distinct "
            f"ops; profiling them takes about {profiling_seconds(self._space):.0f} s on a desktop processor"
        )
        self._dtypes = dtypes_in_order(
            folder, self._space, lambda dtype: measured_table(folder, self._space, dtype, progress, note), note
        )
        self._bounds = {dtype: opened_bounds(folder, self._space, dtype, note) for dtype in self._dtypes}
        self._predictor = LatencyPredictor(opened_table(folder, self._space, self._dtypes[0], progress, note))
        self._loop = TrialLoop(
            settings=self._settings,
            space=self._space,
            predictor=self._predictor,
            evaluator=self._evaluator,
            history=History.open(folder.trials_file),
            note=note,
            also=self._bounds[self._dtypes[0]],
            workers=self._workers,
            watch=watch,
        )

    @property
    def doubt(self) -> str:
        """What makes the table of the run doubtful; empty if nothing does."""
        return self._predictor.table.doubt

    def run(self) -> SearchResult:
        """The whole way; what an interrupted run had done is taken from its folder."""
        self._loop.check_target()
        self._note(f"bounds: {feasible_text(self._loop.feasible_share())}")
        self._try(self._settings.trials)
        tried: dict[Genotype, Measured] = {}
        while len(tried) < MOST_CANDIDATES:
            trial = self._candidate(tried)
            if trial is None:
                break
            arch = self._space.decode(trial.genotype)
            if not self._can_measure():
                return self._finish(trial, arch)
            measured = self._measure(trial, arch)
            tried[trial.genotype] = measured
            if measured.latency_ms <= self._settings.target_ms:
                result = self._finish(trial, arch)
                if result.met:
                    return result
                if result.measured is not None:
                    measured = tried[trial.genotype] = result.measured
            self._correct(trial, measured)
        raise self._missed(tried)

    def _try(self, count: int) -> None:
        """Further trials; then memory and GPUs belong to whoever measures and trains the winner."""
        self._loop.run(count)
        self._workers.rest()

    def _can_measure(self) -> bool:
        """Whether candidates are measured. A search on images insists on the device, if there is any way to it."""
        runner = open_runner(self._device)
        if self._source.needs_device or not runner.has_connection:
            return runner.has_connection
        return bool(self._folder.once("the device answers", runner.answers, lambda answer: isinstance(answer, bool)))

    def _candidate(self, tried: dict[Genotype, Measured]) -> Trial | None:
        """The best trial that was not measured yet; further trials where the correction has left none."""
        best = self._loop.best(excluded=tried)
        if best is None:
            try:
                self._try(max(2, self._settings.trials // 4))
            except TargetError as error:
                self._note(str(error))
                return None
            best = self._loop.best(excluded=tried)
        return best

    def _measure(self, trial: Trial, arch: Arch) -> Measured:
        """Latency does not depend on weights: the candidate is measured before it is trained."""
        graph = arch.graph()
        model = write_tflite(graph, random_weights(graph), dtype=self._dtypes[0])
        measured = measure_interleaved(self._folder, f"candidate {trial.index}", self._device, arch, model)
        self._note(
            f"candidate trial {trial.index + 1}: predicted {trial.latency_ms:.3g} ms, "
            f"measured {measured.latency_ms:.3g} ms, target {self._settings.target_ms:g} ms"
        )
        return measured

    def _correct(self, trial: Trial, measured: Measured) -> None:
        self._loop.correction = max(self._loop.correction, measured.latency_ms / trial.latency_ms)
        self._note(f"the target was missed; predictions are corrected by {self._loop.correction:.3f}")

    def _finish(self, trial: Trial, arch: Arch) -> SearchResult:
        """Exports the candidate, measures the file itself where that can be, and writes everything down."""
        settings, folder = self._settings, self._folder
        winner, dtype = self._exported(trial, arch)
        measured = None
        if self._can_measure():
            measured = measure_interleaved(folder, f"file {trial.index}", self._device, arch, winner.model)
        result = replace(
            self._result(trial, arch, measured),
            met=measured is None or measured.latency_ms <= settings.target_ms,
            random_accuracy=self._loop.random_accuracy(),
            published=fitting_networks(self._space, self._predictor, self._loop.bounds, self._evaluator),
            trained=winner.test_accuracy is not None,
            test_accuracy=winner.test_accuracy,
            exported_accuracy=winner.exported_accuracy,
            agreement=winner.agreement,
            size_bytes=len(winner.model),
            dtype=dtype,
            peak_memory_bytes=arch.graph().peak_memory_bytes(dtype),
            verification=winner.report.to_dict(),
        )
        if result.met:
            write_atomically(folder.path / "best.tflite", winner.model)
        self._write(result, arch)
        return result

    def _exported(self, trial: Trial, arch: Arch) -> tuple[Exported, str]:
        """The candidate's file in the first dtype in which it passes the gate, and that dtype."""
        seed, genotypes = derived_seed(self._settings.seed, trial.index), np.array([trial.genotype])
        for dtype in (d for d in self._dtypes if Bounds(self._bounds[d]).is_feasible(genotypes)[0]):
            winner = self._source.export(
                self._folder, f"trial-{trial.index}", arch, dtype=dtype, seed=seed, note=self._note
            )
            if winner.report.passed:
                break
            failed = ", ".join(f"{c.name}: {c.found}" for c in winner.report.checks if not c.passed)
            self._note(f"the winner in {dtype} does not pass: {failed}")
        winner.report.require("the exported winner")
        return winner, dtype

    def _result(self, trial: Trial, arch: Arch, measured: Measured | None) -> SearchResult:
        graph = arch.graph()
        return SearchResult(
            met=False,
            target_ms=self._settings.target_ms,
            device=self._device.name,
            name=arch.name,
            predicted_ms=trial.latency_ms,
            low_ms=trial.low_ms,
            high_ms=trial.high_ms,
            upper_ms=self._loop.upper_ms(trial),
            risk=self._settings.risk,
            method=self._predictor.table.info.method,
            era=self._predictor.table.era,
            extrapolated=self._predictor.is_extrapolated(1e3 * trial.latency_ms),
            correction=self._loop.correction,
            measured=measured,
            reference=REFERENCE,
            validation_accuracy=trial.accuracy or 0.0,
            accuracy_std=trial.accuracy_std,
            accuracy_source=self._source.name,
            accuracy_meaning=self._source.meaning,
            detail=trial.detail,
            macs=graph.macs,
            params=graph.params,
            peak_memory_bytes=graph.peak_memory_bytes(self._dtypes[0]),
            dtype=self._dtypes[0],
            trials=sum(not trial.cached for trial in self._loop),
        )

    def _missed(self, tried: dict[Genotype, Measured]) -> MobilenasError:
        """Writes down how near the run came; `best.tflite` is never left from a miss."""
        if not tried:  # every trial was predicted to meet the target, so none has an accuracy
            trials = self._loop.trials
            return InputError(
                f"all {len(trials)} trials failed, the last: {trials[-1].detail}; "
                "check --data, or start a new run with another --seed, --trial-epochs or more --trials"
            )
        target = f"target {self._settings.target_ms:g} ms on {self._device.name} was not met"
        genotype = min(tried, key=lambda g: tried[g].latency_ms)
        trial = next(t for t in self._loop if t.genotype == genotype)
        arch = self._space.decode(genotype)
        self._write(self._result(trial, arch, tried[genotype]), arch)
        nearest = tried[genotype].latency_ms
        return TargetError(
            f"{target}: the nearest of {len(tried)} measured candidates takes {nearest:.3g} ms; "
            f"start a new run with --target-ms {float(f'{1.05 * nearest:.2g}'):g} or more --trials"
        )

    def _write(self, result: SearchResult, arch: Arch) -> None:
        write_pareto_csv(self._folder.path / "pareto.csv", self._loop, self._settings.pareto_third)
        write_json(self._folder.path / "best.json", arch.to_dict())
        write_json(self._folder.path / "result.json", asdict(result))
