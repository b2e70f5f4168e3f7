"""Where and when a figure was measured, and its file under `results/`."""

import datetime
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

from mobilenas.runners.host import cpu_model, runtime_version

RESULTS = Path(__file__).with_name("results")


def record(name: str, figures: dict[str, Any]) -> None:
    """Prints the figures and writes `results/<name>.json` with date, machine and commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent, check=False
    ).stdout.strip()
    document = {
        "benchmark": name,
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu_model()}, {platform.system()} {platform.machine()}",
        "runtime": runtime_version(),
        "python": platform.python_version(),
        "commit": commit or "unknown",
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))
