"""The gate that every export passes: parity, one delegate, latency."""

from mobilenas.verification.accuracy import MAX_DROP, Labelled, held_out
from mobilenas.verification.report import Check, Report
from mobilenas.verification.verify import (
    inspect_file,
    latency_check,
    measure_file,
    run_model,
    verify_file,
)

__all__ = [
    "MAX_DROP",
    "Check",
    "Labelled",
    "Report",
    "held_out",
    "inspect_file",
    "latency_check",
    "measure_file",
    "run_model",
    "verify_file",
]
