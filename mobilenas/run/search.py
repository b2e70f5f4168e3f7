"""search: from settings to a file that meets the target."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from mobilenas.arch import Arch
from mobilenas.errors import InputError, TargetError
from mobilenas.history import History, Trial, write_pareto_csv
from mobilenas.latency import LatencyPredictor, profiling_seconds
from mobilenas.latency.profiling import Progress as ProfilingProgress
from mobilenas.objectives import Bounds
from mobilenas.run.baseline import RANDOM, Baseline, is_cheap
from mobilenas.run.candidates import Candidates
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
from mobilenas.run.result import Measured, SearchResult, bound_figures
from mobilenas.run.seeds import derived_seed
from mobilenas.run.settings import SearchSettings
from mobilenas.run.source import Exported, Source, open_source
from mobilenas.run.trials import TrialLoop, Watch
from mobilenas.runners import Device, open_runner
from mobilenas.storage import write_atomically, write_json

MOST_ROUNDS = 6
"""Measurements of candidates before the run gives up."""
Note = Callable[[str], None]


def search(
    path: Path,
    settings: SearchSettings | None,
    *,
    note: Note = lambda text: None,
    announce: Note | None = None,
    progress: ProfilingProgress | None = None,
    watch: Watch = lambda progress: None,
    baseline: bool = False,
) -> SearchResult:
    """Runs a search, or goes on with one that was interrupted.

    Args:
        path: The run's folder.
        settings: Of a new run; None goes on with the run in `path`.
        note: Told of what happens, a line each.
        announce: Told, in place of `note`, what nobody should miss: how large the space is, what makes its
            table doubtful, why a search stops early.
        progress: Told how far profiling is.
        watch: Told how far the trials are.
        baseline: As the setting, for a run that began without.

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

        def logged(tell: Note) -> Note:
            def say(text: str) -> None:
                folder.log(text)
                tell(text)

            return say

        run = _Search(
            folder,
            stack,
            source or open_source(folder.settings),
            logged(note),
            logged(announce or note),
            progress,
            watch,
            baseline=baseline or folder.settings.baseline,
        )
        return run.run()


class _Search:
    """One search in an open run folder; the stack ends its workers."""

    def __init__(
        self,
        folder: RunFolder,
        stack: ExitStack,
        source: Source,
        note: Note,
        announce: Note,
        progress: ProfilingProgress | None,
        watch: Watch,
        *,
        baseline: bool,
    ) -> None:
        self._folder, self._source, self._note, self._wants_baseline = folder, source, note, baseline
        self._settings = folder.settings
        self._device = Device.load(self._settings.device)
        self._space = opened_space(folder, source)
        self._evaluator = opened_evaluator(source, self._space)
        self._workers = stack.enter_context(opened_workers(folder, self._evaluator, note))
        announce(
            f"space {self._space.name}: {self._space.size_text} genotypes, {len(self._space.distinct_ops())} distinct "
            f"ops; profiling them takes about {profiling_seconds(self._space):.0f} s on a desktop processor"
        )
        self._dtypes = dtypes_in_order(
            folder, self._space, lambda dtype: measured_table(folder, self._space, dtype, progress, note), note
        )
        self._bounds = {dtype: opened_bounds(folder, self._space, dtype, note) for dtype in self._dtypes}
        self._predictor = LatencyPredictor(opened_table(folder, self._space, self._dtypes[0], progress, note))
        if doubt := self._predictor.table.doubt:
            announce(doubt)
        self._loop = TrialLoop(
            settings=self._settings,
            space=self._space,
            predictor=self._predictor,
            evaluator=self._evaluator,
            history=History.open(folder.trials_file),
            note=note,
            announce=announce,
            also=self._bounds[self._dtypes[0]],
            workers=self._workers,
            watch=watch,
        )

    def run(self) -> SearchResult:
        """The whole way; what an interrupted run had done is taken from its folder."""
        self._loop.check_target()
        self._note(f"bounds: {feasible_text(self._loop.feasible_share())}")
        self._try(self._settings.trials)
        candidates = Candidates(
            self._folder, self._loop, self._space, self._device, dtype=self._dtypes[0], note=self._note
        )
        for _ in range(MOST_ROUNDS):
            near = candidates.next() or self._further(candidates)
            if not near:
                break
            if not self._can_measure():
                return self._finish(near[0])
            for trial in candidates.measure(near):
                result = self._finish(trial)
                if result.met:
                    return result
                if result.measured is not None:
                    candidates.measured[trial.genotype] = result.measured
            candidates.correct(near)
        if not candidates.measured:
            raise self._all_failed()
        trial, error = candidates.missed()  # `best.tflite` is never left from a miss
        self._write(self._result(trial, candidates.measured[trial.genotype]), self._space.decode(trial.genotype))
        raise error

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

    def _further(self, candidates: Candidates) -> list[Trial]:
        """Candidates of further trials, where the correction has left none."""
        try:
            self._try(max(2, self._settings.trials // 4))
        except TargetError as error:
            self._note(str(error))
            return []
        return candidates.next()

    def _finish(self, trial: Trial) -> SearchResult:
        """Exports the candidate, measures the file itself where that can be, and writes everything down."""
        settings, folder = self._settings, self._folder
        arch = self._space.decode(trial.genotype)
        winner, dtype = self._exported(trial, arch)
        measured = None
        if self._can_measure():
            measured = measure_interleaved(folder, f"file {trial.index}", self._device, [(arch, winner.model)])[0]
        result = replace(
            self._result(trial, measured, dtype),
            met=measured is None or measured.latency_ms <= settings.target_ms,
            published=fitting_networks(self._space, self._predictor, self._loop.bounds, self._evaluator),
            trained=winner.test_accuracy is not None,
            test_accuracy=winner.test_accuracy,
            exported_accuracy=winner.exported_accuracy,
            agreement=winner.agreement,
            size_bytes=len(winner.model),
            verification=winner.report.to_dict(),
        )
        if result.met:
            write_atomically(folder.path / "best.tflite", winner.model)
        self._write(result, arch)
        if result.met:
            result = self._with_baseline(result)
            self._write(result, arch)
        return result

    def _with_baseline(self, result: SearchResult) -> SearchResult:
        """The result beside that of random search, where this is quick or asked for."""
        cheap = is_cheap(self._evaluator, result.evaluation_seconds)
        if self._settings.searcher == RANDOM:
            return replace(result, random_accuracy=result.validation_accuracy, random_trials=result.trials)
        baseline = Baseline(
            self._folder, self._loop.feasible, self._evaluator, self._workers, note=self._note, cheap=cheap
        )
        if not (cheap or self._wants_baseline or baseline.has_begun):
            return result
        accuracy, count = baseline.run(result.trials)
        return replace(result, random_accuracy=accuracy, random_trials=count)

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

    def _result(self, trial: Trial, measured: Measured | None, dtype: str | None = None) -> SearchResult:
        dtype = dtype or self._dtypes[0]
        arch = self._space.decode(trial.genotype)
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
            peak_memory_bytes=graph.peak_memory_bytes(dtype),
            dtype=dtype,
            bounds=bound_figures([self._loop.latency_bound, *self._bounds[dtype]], trial.genotype),
            trials=self._loop.standing.evaluated,
            planned_trials=self._loop.planned,
            evaluation_seconds=self._loop.standing.seconds,
        )

    def _all_failed(self) -> InputError:
        """Every trial was predicted to meet the target, so none has an accuracy."""
        trials = self._loop.trials
        return InputError(
            f"all {len(trials)} trials failed, the last: {trials[-1].detail}; "
            "check --data, or start a new run with another --seed, --trial-epochs or more --trials"
        )

    def _write(self, result: SearchResult, arch: Arch) -> None:
        standing, path = self._loop.standing, self._folder.path
        write_pareto_csv(path / "pareto.csv", standing.front, standing.third)
        write_json(path / "best.json", arch.to_dict())
        write_json(path / "result.json", result.to_dict())
