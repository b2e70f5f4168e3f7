"""Signals that end the program, as an interrupt does: what was opened is closed."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

NAMES = ("SIGTERM", "SIGHUP")


@contextmanager
def ended_by_signals() -> Iterator[Sequence[int]]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt while the body runs; gives those that have come.

    Only the first one raises: `timeout` and a closed terminal send several, and the body is ending already. One that is
    ignored (`nohup`) or that someone else takes stays so, as do all of them outside the main thread.
    """
    received: list[int] = []

    def end(number: int, _: object) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    found = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        found = []
    found = [number for number in found if signal.getsignal(number) is signal.SIG_DFL]
    for number in found:
        signal.signal(number, end)
    try:
        yield received
    finally:
        for number in found:
            signal.signal(number, signal.SIG_DFL)
