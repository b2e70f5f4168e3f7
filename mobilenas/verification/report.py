"""What a verification found."""

from dataclasses import asdict, dataclass
from typing import Any

from mobilenas.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was promised of a file.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        found: What was found.
        wanted: What was promised.
    """

    name: str
    passed: bool
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one file."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def require(self, what: str) -> None:
        """Raises `VerificationError` with the first check that fails."""
        for check in self.checks:
            if not check.passed:
                raise VerificationError(f"{what}: {check.name}: {check.found}; promised: {check.wanted}")
