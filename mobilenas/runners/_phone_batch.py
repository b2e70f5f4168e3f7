"""What a batch of models still has to do on a phone, and what a trip there brought back."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mobilenas.runners._benchmark_model import BenchmarkModel, Reading
from mobilenas.runners._phone_script import DONE, Section
from mobilenas.runners._phone_state import PhoneState
from mobilenas.runners._timing import Failure, Timing

STRIKES = 2
"""Times that the phone is lost while a model runs before the model is taken for the cause."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What one script printed.

    Attributes:
        readings: Of models that ran, by number.
        failures: Of models that did not.
        states: The phone's: before, every few seconds, and after.
        allowed: The processors that the script was bound to, as the kernel says it.
        running: Number of the model that ran when the output ended; None if none did.
        is_whole: Whether the script came to its end.
    """

    readings: Mapping[int, Sequence[Reading]]
    failures: Mapping[int, Failure]
    states: Sequence[PhoneState]
    allowed: str
    running: int | None
    is_whole: bool

    @classmethod
    def read(
        cls, sections: Sequence[Section], last: tuple[str, ...], benchmark: BenchmarkModel, limit_seconds: float
    ) -> "Trip":
        """Reads what `PhoneScripts.read` gives of a batch; a model's output without an end does not count."""
        readings: dict[int, list[Reading]] = {}
        failures: dict[int, Failure] = {}
        states, allowed, output = [], "", ""
        for section in sections:
            kind = section.words[0]
            if kind == "state":
                states.append(PhoneState.parse(section.body))
            elif kind == "allowed":
                allowed = section.body
            elif kind == "begin":
                output = section.body
            elif kind == "end":
                number, code, seconds = map(int, section.words[1:])
                try:
                    readings.setdefault(number, []).append(_reading(benchmark, output, code, seconds, limit_seconds))
                except ValueError as error:
                    failures[number] = Failure(str(error))
        running = int(last[1]) if last[:1] == ("begin",) else None
        return cls(readings, failures, states, allowed, running, last == DONE)


@dataclass(slots=True)
class Batch:
    """What one call of `measure` still has to do, and what it has found.

    Attributes:
        todo: Numbers of models in the order of their visits.
        readings, failures: By number.
    """

    todo: list[int]
    readings: dict[int, list[Reading]] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    _strikes: dict[int, int] = field(default_factory=dict)

    def take(self, trip: Trip) -> None:
        """Keeps what a trip found and strikes it off; a model that the phone was lost with gets a strike."""
        for number, readings in trip.readings.items():
            self.readings.setdefault(number, []).extend(readings)
            for _ in readings:
                self.todo.remove(number)
        self.failures.update(trip.failures)
        if not trip.is_whole and trip.running is not None:
            strikes = self._strikes[trip.running] = self._strikes.get(trip.running, 0) + 1
            if strikes >= STRIKES:
                self.failures[trip.running] = Failure(f"the phone was lost {strikes} times while it ran")
        self.todo = [number for number in self.todo if number not in self.failures]

    def result(self, number: int) -> Timing | Failure:
        """What is known of a model that is done."""
        if number in self.failures:
            return self.failures[number]
        readings = self.readings[number]
        return Timing.from_summaries(
            [reading.latency_us for reading in readings],
            runs=sum(reading.runs for reading in readings),
            delegates=readings[0].delegates,
            estimator=readings[0].estimator,
        )


def last_line(output: str) -> str:
    """The last line that says something, for an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


LOST_CHILD = 127
"""What `timeout` of toybox 0.8.9 says of a program that ended before it began to wait for it."""


def _reading(benchmark: BenchmarkModel, output: str, code: int, seconds: int, limit_seconds: float) -> Reading:
    if code in (124, 137) and seconds + 1 >= limit_seconds:
        raise ValueError(f"no answer in {limit_seconds:g} s")
    if code == LOST_CHILD:
        with suppress(ValueError):
            return benchmark.read(output)
    if code > 128:
        raise ValueError(f"benchmark_model ended with signal {code - 128}")
    if code:
        raise ValueError(f"benchmark_model ended with exit code {code}: {last_line(output)}")
    return benchmark.read(output)
