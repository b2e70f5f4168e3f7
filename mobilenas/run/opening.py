"""What a search opens before its first trial: space, tables, bounds."""

from pathlib import Path

from mobilenas.errors import InputError
from mobilenas.evaluators import EVALUATORS, BatchEvaluator, CachedEvaluator
from mobilenas.evaluators.workers import InProcess, Pool, Processes, Ray, Workers, connect
from mobilenas.export import DTYPES
from mobilenas.latency import CompiledLatency, LatencyPredictor, LatencyTable, load_predictor, up_to_date_table
from mobilenas.latency.profiling import Progress
from mobilenas.objectives import COST_BOUNDS, COST_COLUMNS, Bound, LatencyBound
from mobilenas.registry import unknown
from mobilenas.run.dtypes import AUTO
from mobilenas.run.folder import RunFolder
from mobilenas.run.settings import SearchSettings
from mobilenas.run.source import Note, Source
from mobilenas.runners import Device, open_runner
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import SPACES, CompiledCosts, SearchSpace, SpacePlan, open_space
from mobilenas.storage import read_json, write_json

SPACE_FILE = ".json"


def check_names(settings: SearchSettings) -> None:
    """Raises `InputError` for what is not known, before anything is written or measured."""
    for name in (settings.device, *(settings.other_target(text)[0] for text in settings.also)):
        open_runner(Device.load(name)).unit.check_is_time(f"device {name}")
    for noun, name, known in (
        ("dtype", settings.dtype, (*DTYPES, AUTO)),
        ("space", settings.space, SPACES),
        ("searcher", settings.searcher, SEARCHERS),
        ("evaluator", settings.evaluator, EVALUATORS),
    ):
        if noun == "space" and name.endswith(SPACE_FILE):
            SpacePlan.load(Path(name))
        elif name not in known:
            raise InputError(unknown(noun, name, list(known)))


def opened_evaluator(source: Source, space: SearchSpace) -> BatchEvaluator | CachedEvaluator:
    """The run's evaluator: in batches where it knows the space's genotypes, else network by network, none twice.

    Raises:
        InputError: If an evaluator that knows one space does not know the first network of this one, before anything is
            measured.
    """
    evaluator = source.evaluator()
    if isinstance(evaluator, BatchEvaluator):
        if evaluator.covers(space):
            return evaluator
        evaluator(space.decode((0,) * len(space.sizes)), seed=0)
    return CachedEvaluator(evaluator)


def opened_workers(folder: RunFolder, evaluator: BatchEvaluator | CachedEvaluator, note: Note) -> Workers:
    """Where the run's evaluations happen. How many there are at once belongs to the run.

    Raises:
        InputError: If the evaluator cannot be sent to other processes, or Ray does not answer.
    """
    settings, limit_s = folder.settings, folder.settings.trial_timeout
    inner = evaluator.evaluator if isinstance(evaluator, CachedEvaluator) else evaluator
    if settings.ray is not None:
        cluster = connect(settings.ray)
        count = settings.workers or folder.once("workers", lambda: cluster.room, _is_count)
        return Pool(Ray(inner, count, cluster), count, limit_s=limit_s, note=note)
    if settings.workers is not None:
        return Pool(Processes(inner, settings.workers), settings.workers, limit_s=limit_s, note=note)
    return InProcess(evaluator)


def _is_count(answer: object) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and answer >= 1


def opened_space(folder: RunFolder, source: Source) -> SearchSpace:
    """The run's space; a space file is copied into the run, which a later change of the file does not reach."""
    name = folder.settings.space
    if name.endswith(SPACE_FILE):
        own = folder.path / "space.json"
        if not own.exists():
            SpacePlan.load(Path(name))
            write_json(own, {"name": Path(name).stem, **read_json(Path(name), "space file")})
        name = str(own)
    return open_space(name, resolution=source.resolution, num_classes=source.num_classes)


def measured_table(
    folder: RunFolder, space: SearchSpace, dtype: str, progress: Progress | None, note: Note
) -> LatencyTable:
    """The device's table with every op of the space; what it lacks is measured.

    Raises:
        InputError: If there is no table of this dtype, and no connection by which to make one.
        DeviceError: If something must be measured and the device does not answer.
    """
    ops = sorted(space.distinct_ops(), key=str)  # a set's order differs from process to process
    device = Device.load(folder.settings.device)
    if not open_runner(device).has_connection:
        load_predictor(folder.settings.device, dtype)  # names the command that makes the table
    return up_to_date_table(device, dtype, ops, space=space, progress=progress, note=note)


def opened_table(
    folder: RunFolder, space: SearchSpace, dtype: str, progress: Progress | None, note: Note
) -> LatencyTable:
    """The table as it was when the run began: a run's predictions never change under it."""
    if not folder.table_file.exists():
        measured_table(folder, space, dtype, progress, note).save(folder.table_file)
    return LatencyTable.load(folder.table_file)  # as a resumed run reads it: rounded


def opened_bounds(folder: RunFolder, space: SearchSpace, dtype: str, note: Note) -> list[Bound]:
    """What networks of a dtype must meet besides the target: other devices' targets, and limits of what is certain.

    Raises:
        InputError: If another device has no table; it is not profiled on the way.
    """
    settings, found = folder.settings, list[Bound]()
    for i, text in enumerate(settings.also):
        device, target_ms = settings.other_target(text)
        path = folder.path / f"latency_table.{i + 1}.{dtype}.csv"
        if not path.exists():
            load_predictor(device, dtype, note=note).table.save(path)
        compiled = CompiledLatency(LatencyPredictor(LatencyTable.load(path)), space)
        found.append(LatencyBound(device, target_ms, compiled, risk=settings.risk, option=f"--also {device}="))
    costs = CompiledCosts(space, dtype)
    for name, make in COST_BOUNDS.items():
        limit = getattr(settings, f"max_{COST_COLUMNS[name]}")
        if limit is not None:
            found.append(make(costs, limit))
    return found
