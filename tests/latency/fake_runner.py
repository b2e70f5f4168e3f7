"""A device whose latencies are known: a microsecond a thousand bytes of model."""

from typing import ClassVar

from mobilenas.errors import DeviceError
from mobilenas.runners import Failure, Runner, Timing, Unit


class FakeRunner(Runner):
    """Answers at once. Class attributes are set by tests.

    Attributes:
        slow: Given the number of the call, a factor on every latency in it.
        refuse: Models that contain these bytes fail.
        lose_after: Calls after which the device is lost.
        calls: Sizes of all batches so far.
    """

    slow = staticmethod(lambda call: 1.0)
    refuse = b"\xff never"
    lose_after = 10**9
    cpu = "fake cpu"
    calls: ClassVar[list[int]] = []

    @classmethod
    def reset(cls):
        cls.slow, cls.refuse, cls.lose_after = staticmethod(lambda call: 1.0), b"\xff never", 10**9
        cls.cpu, cls.calls = "fake cpu", []

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return None

    def answers(self):
        return True

    def environment(self):
        return {"cpu": self.cpu, "runtime": "fake 1", "threads": "1", "pinning": "none", "governor": "unknown"}

    def mismatch(self, measured):
        return "" if measured["cpu"] == self.cpu else "another cpu"

    def measure(self, models, protocol):
        if len(self.calls) >= self.lose_after:
            raise DeviceError("the cable was pulled")
        factor = self.slow(len(self.calls))
        self.calls.append(len(models))
        out = []
        for model in models:
            if self.refuse in model:
                out.append(Failure("refused"))
            else:
                visit = [factor * latency_us(model)] * protocol.runs
                out.append(Timing.from_visits([visit] * protocol.visits, delegates=1, unit=self.unit))
        return out


class CountingRunner(FakeRunner):
    """The same figures, but they are counts of instructions."""

    unit = Unit.INSTRUCTIONS


def latency_us(model):
    return len(model) / 1000
