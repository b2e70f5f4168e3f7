"""Searches for the most accurate network that meets a latency target."""

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobilenas.cli.arguments import DeviceName, Json, Resolution
from mobilenas.cli.output import LOG, note, print_json
from mobilenas.cli.search_bars import search_bars
from mobilenas.cli.search_output import print_result
from mobilenas.errors import InputError, shorten
from mobilenas.registry import unknown
from mobilenas.runners import Device

if TYPE_CHECKING:
    from mobilenas.run.settings import RewardName, ThirdName

DATA_HELP = "A folder of images by class, digits, a torchvision data set by name, or an .npz file; none by default."


def run(
    context: typer.Context,
    target_ms: Annotated[float | None, typer.Option(help="Latency that the result must not exceed.")] = None,
    device: DeviceName = "pixel1",
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/<date and time> by default.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    space: Annotated[
        str | None,
        typer.Option(help="Search space or space file (.json); mnasnet_proxy by default, with --data mnasnet."),
    ] = None,
    searcher: Annotated[
        str | None, typer.Option(help="Searcher; model_based by default, with --data regularized_evolution.")
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(help="Where accuracy comes from; imagenet_surrogate by default, with --data short_training."),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Distinct evaluations; 300 by default, with --data 12.")] = None,
    trial_epochs: Annotated[int, typer.Option(help="Epochs of each evaluation.")] = 5,
    final_epochs: Annotated[int, typer.Option(help="Epochs of the winner; 0 for the recipe's own.")] = 0,
    reward: Annotated[
        str | None, typer.Option(help="soft, hard, absolute or strict; strict by default, with --data soft.")
    ] = None,
    hard: Annotated[bool, typer.Option("--hard", help="MnasNet's hard reward: --reward hard.")] = False,
    alpha: Annotated[
        float | None, typer.Option(help="Exponent of soft and hard below the target; the others have none.")
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Slope of absolute; of soft and hard the exponent above the target, where none is searched."),
    ] = None,
    risk: Annotated[
        float, typer.Option(help="How probable it may be that a prediction at the target misses it, up to 0.5.")
    ] = 0.05,
    also: Annotated[
        list[str] | None, typer.Option(metavar="DEVICE=MS", help="A further device and its target; several times.")
    ] = None,
    max_macs: Annotated[float | None, typer.Option(help="Most multiply-adds.")] = None,
    max_params: Annotated[float | None, typer.Option(help="Most parameters.")] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Largest file, millions of bytes.")] = None,
    max_memory_mb: Annotated[float | None, typer.Option(help="Most activations at once, millions of bytes.")] = None,
    pareto_third: Annotated[
        str | None,
        typer.Option(
            help="What counts in the Pareto front besides accuracy and latency: macs, params, size or memory."
        ),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="Also train as many random networks, for comparison; with --resume too."),
    ] = False,
    resolution: Resolution = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            help="Element type of the result: float32, float16, int8, or auto, the faster one that keeps its accuracy.",
        ),
    ] = "float32",
    max_drop: Annotated[
        float,
        typer.Option(help="Accuracy the file may lose; 0.01 is one point. Beyond it int8 is fine-tuned."),
    ] = 0.01,
    workers: Annotated[
        int | None, typer.Option(help="Networks evaluated at once, each in a process of its own; one, in this process.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Evaluate on a Ray cluster: its address, auto for this machine's, or local."
        ),
    ] = None,
    trial_timeout: Annotated[
        float | None, typer.Option(help="Seconds after which a worker's evaluation counts as hung.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Every random stream derives from it.")] = 0,
    json: Json = False,
) -> None:
    """Searches and exports the winner; with --data it trains, measures and verifies it too."""
    if resume is not None:
        _refuse_settings_of(context, resume)
    elif target_ms is None:
        raise InputError(
            "give --target-ms MILLISECONDS for a new search or --resume RUN for an old one; "
            "for example: mobilenas search --target-ms 75"
        )
    from mobilenas.run import SearchSettings, search
    from mobilenas.run.dtypes import AUTO, only_words, possible_dtypes

    settings = None
    if target_ms is not None:
        settings = SearchSettings(
            target_ms=target_ms,
            device=device,
            dtype=dtype,
            max_drop=max_drop,
            space=space or ("mnasnet_proxy" if data is None else "mnasnet"),
            searcher=searcher or ("model_based" if data is None else "regularized_evolution"),
            evaluator=evaluator or ("imagenet_surrogate" if data is None else "short_training"),
            data=data,
            resolution=resolution,
            trials=(300 if data is None else 12) if trials is None else trials,
            trial_epochs=trial_epochs,
            final_epochs=final_epochs,
            reward=_reward(reward, hard, usual="strict" if data is None else "soft"),
            alpha=alpha,
            beta=beta,
            risk=risk,
            also=tuple(also or ()),
            max_macs=max_macs,
            max_params=max_params,
            max_size_mb=max_size_mb,
            max_memory_mb=max_memory_mb,
            pareto_third=_third(pareto_third),
            baseline=baseline,
            workers=workers,
            ray=ray,
            trial_timeout=trial_timeout,
            seed=seed,
        )
        if dtype == AUTO:
            possible = possible_dtypes(Device.load(device))
            if len(possible) == 1:
                note(only_words(device, possible[0]))
    folder = resume or out or Path("runs") / f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    say = note if sys.stderr.isatty() else LOG.info
    with search_bars(device) as (progress, watch):
        result = search(folder, settings, note=say, announce=note, progress=progress, watch=watch, baseline=baseline)
    if json:
        print_json({**result.to_dict(), "run": str(folder)})
    else:
        print_result(result, folder)


def _refuse_settings_of(context: typer.Context, resume: Path) -> None:
    """A run goes on as it began, whatever is asked for later: that must not go unsaid."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in ("resume", "baseline", "json") and source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"--resume {resume} goes on with that run's own settings, by which its trials were chosen; "
                f"give either it, or --{name.replace('_', '-')} and another folder to --out"
            )


def _reward(name: str | None, hard: bool, *, usual: "RewardName") -> "RewardName":
    if hard and name not in (None, "hard"):
        raise InputError(f"--hard and --reward {name} exclude each other; give one of them")
    rewards: dict[str, RewardName] = {"soft": "soft", "hard": "hard", "absolute": "absolute", "strict": "strict"}
    if name is not None and name not in rewards:
        raise InputError(unknown("reward", name, rewards))
    return "hard" if hard else usual if name is None else rewards[name]


def _third(name: str | None) -> "ThirdName | None":
    figures: dict[str, ThirdName] = {"macs": "macs", "params": "params", "size": "size", "memory": "memory"}
    if name is None:
        return None
    if name not in figures:
        raise InputError(f"--pareto-third {shorten(name)} is not accepted; give {', '.join(figures)}")
    return figures[name]
