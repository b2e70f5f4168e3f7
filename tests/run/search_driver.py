"""`mobilenas` with a device whose latencies are known, in a process that can be told to die by SIGKILL.

python tests/run/search_driver.py [--die WHERE:N] search ...

WHERE is `visit` (before the N-th trip to the device), `rename` (when the N-th temporary file is written and not yet
renamed), `trial` (half of the N-th line of trials.jsonl is written) or `journal` (the same of journal.jsonl), counted
from 0.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "latency"))

from fake_runner import FakeRunner  # its folder must be on the path first

from mobilenas.cli.main import main
from mobilenas.history import History
from mobilenas.run import folder
from mobilenas.runners import RUNNERS


def die_at(where: str, number: int) -> None:
    """Makes this process kill itself."""
    left = [number]

    def due() -> bool:
        left[0] -= 1
        return left[0] < 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    rename, measure = Path.replace, FakeRunner.measure
    write_trial, write_answer = History._write, folder._append

    def replace(path, target):
        if due():
            die()
        return rename(path, target)

    def visit(self, models, protocol):
        if due():
            die()
        return measure(self, models, protocol)

    def torn_trial(self, data):
        if due():
            write_trial(self, data[: len(data) // 2])
            die()
        write_trial(self, data)

    def torn_answer(path, entry):
        write_answer(path, entry)
        if due():
            os.truncate(path, path.stat().st_size - 20)
            die()

    if where == "rename":
        Path.replace = replace
    elif where == "visit":
        FakeRunner.measure = visit
    elif where == "trial":
        History._write = torn_trial
    elif where == "journal":
        folder._append = torn_answer
    else:
        raise ValueError(where)


if __name__ == "__main__":
    RUNNERS.add("fake", FakeRunner)
    arguments = sys.argv[1:]
    if arguments[0] == "--die":
        place, _, count = arguments[1].partition(":")
        die_at(place, int(count))
        arguments = arguments[2:]
    main(arguments)
