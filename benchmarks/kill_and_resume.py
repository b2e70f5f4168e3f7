"""Ten searches that SIGKILL ends, each resumed, against one that nobody disturbed.

python benchmarks/kill_and_resume.py

The device answers with computed latencies (a microsecond a thousand bytes of model), so that measurements that were cut
off come out equal when they are made again; on a real device those differ by noise, and a resumed run repeats only
what it had journalled. Searching, training, exporting and verifying are the real ones.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import record

TESTS = Path(__file__).resolve().parents[1] / "tests" / "run"
DRIVER = TESTS / "search_driver.py"
DEVICE = 'name = "fake"\nrunner = "fake"\n'
SEARCH = ["--device", "fake", "--data", "digits", "--resolution", "16", "--target-ms", "3", "--trials", "3"]
SEARCH += ["--trial-epochs", "1", "--final-epochs", "3", "--seed", "4", "--json"]
KILLS = (
    ("profiling", "visit:5"),
    ("profiling", "visit:60"),
    ("profiling, table written and not yet renamed", "rename:1"),
    ("trials, in the middle of a line", "trial:0"),
    ("trials, in the middle of a line", "trial:2"),
    ("candidate's measurement, in the middle of a line", "journal:0"),
    ("final training, checkpoint written and not yet renamed", "rename:3"),
    ("final training, checkpoint written and not yet renamed", "rename:5"),
    ("winner's measurement, in the middle of a line", "journal:1"),
    ("results, pareto.csv written and not yet renamed", "rename:8"),
)
SAME = ("trials.jsonl", "result.json", "best.json", "best.tflite", "pareto.csv", "latency_table.csv", "journal.jsonl")


def driver(home: Path, arguments: list[str], die: str | None = None) -> int:
    chosen = ["--die", die] if die else []
    environment = {**os.environ, "MOBILENAS_HOME": str(home)}
    command = [sys.executable, str(DRIVER), *chosen, "search", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def new_home(folder: Path) -> Path:
    (folder / "home" / "devices").mkdir(parents=True)
    (folder / "home" / "devices" / "fake.toml").write_text(DEVICE)
    return folder / "home"


def content(path: Path) -> object:
    """A file of a run; of trials, all but how long they took."""
    if not path.exists():
        return None
    if path.name != "trials.jsonl":
        return path.read_bytes()
    trials = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in trials]


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, whole = new_home(folder / "undisturbed"), folder / "undisturbed" / "run"
        start = time.monotonic()
        if driver(home, [*SEARCH, "--out", str(whole)]) != 0:
            raise SystemExit("the undisturbed run failed")
        seconds = time.monotonic() - start
        for number, (phase, die) in enumerate(KILLS):
            home, run = new_home(folder / str(number)), folder / str(number) / "run"
            killed = driver(home, [*SEARCH, "--out", str(run)], die)
            start = time.monotonic()
            arguments = (
                ["--resume", str(run), "--json"] if (run / "run.json").exists() else [*SEARCH, "--out", str(run)]
            )
            resumed = driver(home, arguments)
            differing = [file for file in SAME if content(run / file) != content(whole / file)]
            left = [path.name for path in run.rglob("*.tmp") if path.is_file()]
            rows.append(
                {
                    "phase": phase,
                    "killed_at": die,
                    "killed": killed == -9,
                    "resumed": resumed == 0,
                    "differing_files": differing,
                    "temporary_files_left": len(left),
                    "seconds_of_the_rest": round(time.monotonic() - start, 1),
                }
            )
            outcome = "same" if killed == -9 and resumed == 0 and not differing else f"NOT THE SAME {differing}"
            print(f"{phase:55} {die:10} {outcome}", flush=True)
    same = sum(row["killed"] and row["resumed"] and not row["differing_files"] for row in rows)
    record("kill_and_resume", {"runs": len(rows), "the_same": same, "undisturbed_s": round(seconds, 1), "kills": rows})


if __name__ == "__main__":
    main()
