"""AgentProcess: a running agent script, and the way to it."""

from abc import ABC, abstractmethod

from mobilenas.errors import DeviceError


class AgentProcess(ABC):
    """A running `_litert_agent.py`: bytes go in, bytes come out, and it ends.

    One thread sends while another reads.
    """

    @abstractmethod
    def send(self, data: bytes, timeout_seconds: float) -> None:
        """Writes to its standard input.

        Raises:
            TimeoutError: If it does not take them in time.
            OSError: If it has ended, or the way to it is lost.
        """

    @abstractmethod
    def read_line(self) -> bytes:
        """The next line of its standard output; less, or nothing, when it has ended."""

    @abstractmethod
    def read(self, count: int) -> bytes:
        """The next `count` bytes of its standard output; fewer when it has ended."""

    @abstractmethod
    def has_ended(self) -> bool:
        """Whether it is gone."""

    @abstractmethod
    def how_it_ended(self) -> str:
        """Waits for its end: "signal 11", "exit code 1".

        Raises:
            DeviceError: If the way to it is lost, so that nobody knows.
        """

    @abstractmethod
    def last_words(self) -> str:
        """The last line of its standard error; empty if there is none."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it, whatever it does, and gives back what it held; nothing happens where it has ended."""


class Transport(ABC):
    """How the agent script is started.

    Attributes:
        start_seconds: How long it may take until the agent answers.
    """

    start_seconds: float

    @abstractmethod
    def start(self) -> AgentProcess:
        """Starts it.

        Raises:
            DeviceError: If that cannot be done.
        """

    @abstractmethod
    def does_not_start(self, words: str) -> DeviceError:
        """The error for an agent that ended, or said nothing, before its first answer.

        Args:
            words: Its last words, or how it ended.
        """


def exit_words(code: int) -> str:
    """How errors call the end of a process with this return code (negative: the signal)."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
