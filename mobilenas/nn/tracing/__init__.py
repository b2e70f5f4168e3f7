"""Anybody's torch module as an op graph with weights."""

from mobilenas.nn.tracing.loading import Foreign, ForeignModule, foreign, foreign_module
from mobilenas.nn.tracing.tracing import trace
from mobilenas.nn.tracing.unsupported import UnsupportedError

__all__ = ["Foreign", "ForeignModule", "UnsupportedError", "foreign", "foreign_module", "trace"]
