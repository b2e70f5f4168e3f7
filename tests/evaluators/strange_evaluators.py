"""Evaluators that crash, hang or refuse; in a module of their own, so that other processes can import them."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilenas.arch import Arch
from mobilenas.errors import FieldError
from mobilenas.evaluators import Evaluation, Evaluator


@dataclass
class Strange(Evaluator):
    """Does what is planned for a seed, as often as is planned; else its accuracy is seed / 1000.

    Attributes:
        folder: Holds a line for every evaluation that began, with seed and process.
        plan: What happens, by seed: each attempt takes the next.
        seconds: How long an evaluation takes.
    """

    folder: Path
    plan: Mapping[int, tuple[str, ...]]
    seconds: float = 0.0

    @property
    def settings(self):
        return {"evaluator": "strange"}

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        with (self.folder / "begun").open("a") as file:
            file.write(f"{seed} {os.getpid()}\n")
        attempt = sum(1 for each, _ in begun(self.folder) if each == seed)
        acts = self.plan.get(seed, ())
        act = acts[attempt - 1] if attempt <= len(acts) else "fine"
        if act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "exit":
            os._exit(3)
        elif act == "memory":
            raise MemoryError("all of it is taken")
        elif act == "hang":
            time.sleep(1000)
        elif act == "text":
            return "an evaluation"  # type: ignore[return-value]
        elif act == "nothing":
            return None  # type: ignore[return-value]
        elif act == "refuse":
            raise FieldError("images", 3, "a folder")
        time.sleep(self.seconds)
        return Evaluation(accuracy=seed / 1000, detail=os.environ.get("OMP_NUM_THREADS", ""))


def begun(folder: Path) -> list[tuple[int, int]]:
    """Seed and process of every evaluation that began."""
    path = folder / "begun"
    rows = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return [(int(seed), int(process)) for seed, process in rows]
