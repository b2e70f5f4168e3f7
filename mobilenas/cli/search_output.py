"""What `mobilenas search` prints at its end."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenas.cli.output import print_table
from mobilenas.cli.predicted import described
from mobilenas.cli.search_bars import duration

if TYPE_CHECKING:
    from mobilenas.run import SearchResult

SHOWN_FRONT, SHOWN_PUBLISHED = 8, 8


def print_result(result: "SearchResult", folder: Path) -> None:
    """The winner, and the Pareto front that the search found."""
    measured, report = result.measured, result.verification
    how = "" if result.method == "measured" else f"{described(result.method, result.era)}, "
    if result.extrapolated:
        how += "beyond the networks that the table was fitted to, "
    interval = f"{how}90 % interval {result.low_ms:.3g} to {result.high_ms:.3g}"
    rows = [
        ("target", f"{result.target_ms:g} ms on {result.device}"),
        ("predicted", f"{result.predicted_ms:.3g} ms ({interval}; {result.upper_ms:.3g} must meet the target)"),
    ]
    if measured is None:
        rows.append(("measured", f"nothing: {result.device} does not answer"))
    else:
        spread = ""
        if measured.p10_ms is not None and measured.p90_ms is not None:
            spread = f" (10th to 90th percentile: {measured.p10_ms:.3g} to {measured.p90_ms:.3g})"
        rows += [
            ("measured", f"{measured.latency_ms:.3g} ms{spread}"),
            ("reference", f"{measured.reference_ms:.3g} ms ({result.reference}, same input, in turn)"),
        ]
    rows += _accuracy(result)
    rows += [("random search", _random(result, folder)), ("trials", _trials(result))]
    for bound in result.bounds[1:]:  # the first is the target
        nominal = f"{bound.nominal:.4g} {bound.unit}"
        upper = "" if bound.upper == bound.nominal else f"predicted, upper end {bound.upper:.4g} {bound.unit}"
        rows.append((bound.name, f"{nominal}{upper and ' '}{upper}; at most {bound.limit:.4g} {bound.unit}"))
    rows += [
        ("network", f"{result.params:,} params, {result.macs:,} MACs, {result.size_bytes:,} bytes"),
        ("verified", ", ".join(c["name"] for c in report["checks"]) if report and report["passed"] else "FAILED"),
        ("run", f"{folder} (best.tflite, best.json, result.json, pareto.csv)"),
    ]
    print_table(("", ""), rows)
    _print_front(folder / "pareto.csv")
    _print_published(result)


def _trials(result: "SearchResult") -> str:
    if result.trials >= result.planned_trials:
        return f"{result.trials:,}"
    return f"{result.trials:,} of {result.planned_trials:,} planned: no further network was found"


def _random(result: "SearchResult", folder: Path) -> str:
    """Random search beside the search, or what it would cost."""
    if result.random_accuracy is None and not result.random_trials:
        took = duration(result.evaluation_seconds)
        return (
            f"not made: as many random networks would be evaluated for about {took} too; "
            f"for that run: mobilenas search --resume {folder} --baseline"
        )
    count = "as many" if result.random_trials == result.trials else f"{result.random_trials:,}"
    accuracy = "nothing" if result.random_accuracy is None else f"{100 * result.random_accuracy:.2f} %"
    return f"{accuracy} with {count} trials"


def _accuracy(result: "SearchResult") -> list[tuple[str, str]]:
    if result.trained:
        accuracies = (result.test_accuracy, result.exported_accuracy, result.agreement)
        test, exported, agreement = (
            f"{100 * share:.2f} %" if share is not None else "not known" for share in accuracies
        )
        return [
            ("accuracy", f"{test} of held-out images"),
            ("exported file", f"{result.dtype}: {exported}; agrees with torch on {agreement}"),
        ]
    spread = "" if result.accuracy_std is None else f" +- {100 * result.accuracy_std:.2f}"
    marked = f" ({result.detail})" if result.detail else ""
    said = f": {result.accuracy_meaning}" if result.accuracy_meaning else ""
    return [
        ("accuracy", f"{100 * result.validation_accuracy:.2f}{spread} %{marked}"),
        ("accuracy of", f"{result.accuracy_source}{said}"),
        (
            "exported file",
            f"{result.dtype}, UNTRAINED: random weights, for measuring latency; train best.json before using it",
        ),
    ]


def _print_front(path: Path) -> None:
    """The Pareto front by rising latency; of a long one, rows spread over it."""
    with path.open(newline="") as file:
        front = list(csv.DictReader(file))
    last = len(front) - 1
    shown = sorted({round(i * last / (SHOWN_FRONT - 1)) for i in range(SHOWN_FRONT)}) if last >= SHOWN_FRONT else None
    print()
    third = [name for name in ("size_mb", "memory_mb") if front and name in front[0]]
    rows = [
        (
            int(row["index"]) + 1,
            float(row["latency_ms"]),
            float(row["high_ms"]),
            f"{100 * float(row['accuracy']):.2f} %",
            int(row["macs"]),
            int(row["params"]),
            *(float(row[name]) for name in third),
        )
        for row in (front if shown is None else [front[i] for i in shown])
    ]
    print_table(("trial", "predicted ms", "upper end", "accuracy", "MACs", "params", *third), rows)
    if shown is not None:
        print(f"{len(shown)} of {len(front)} networks that no other beats; all: {path}")


def _print_published(result: "SearchResult") -> None:
    """The published networks that meet the same bounds; of many, the most accurate."""
    print()
    if not result.published:
        print("no published network meets the same bounds")
        return
    shown = result.published[:SHOWN_PUBLISHED]
    columns: dict[str, list[object]] = {
        "published network": [each.name for each in shown],
        "predicted ms": [each.latency_ms for each in shown],
        "upper end": [each.high_ms for each in shown],
        "accuracy": [_percent(each.accuracy) for each in shown],
        "published top-1": [_percent(each.top1) for each in shown],
        "MACs": [each.macs for each in shown],
        "params": [each.params for each in shown],
    }
    known = {name: column for name, column in columns.items() if any(column)}
    print_table(tuple(known), list(zip(*known.values(), strict=True)))
    of = f"{len(shown)} of {len(result.published)} published networks"
    note = f"{of} that meet the same bounds by the same rule and table"
    if "published top-1" in known:
        note += "; published top-1 is ImageNet after full training, and no figure of this search compares with it"
    print(note)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"
