"""Anybody's torch module as an op graph with weights."""

from mobilenas.nn.tracing.loading import Foreign, foreign
from mobilenas.nn.tracing.tracing import trace
from mobilenas.nn.tracing.unsupported import UnsupportedError

__all__ = ["Foreign", "UnsupportedError", "foreign", "trace"]
