"""Patience: how a disturbed device is waited for."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one waits for a device that a sentinel finds slower than usual.

    Attributes:
        pause_seconds: Wait before the first retry; it doubles with each.
        session_seconds: What a session spends on retries, besides a share of the time that was not disturbed.
        most_drift: A device that is then still slower than this times its usual time is given up; a smaller drift is
            measured as it is, and told.
    """

    pause_seconds: float = 0.2
    session_seconds: float = 5.0
    most_drift: float = math.inf
