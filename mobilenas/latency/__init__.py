"""Latency from a look-up table of measured ops. No torch."""

from mobilenas.latency.calibration import Calibration, CalibrationNetwork
from mobilenas.latency.predictor import Latency, LatencyPredictor, OpLatency
from mobilenas.latency.profiling import Profiler
from mobilenas.latency.table import LatencyTable, Measurement, TableInfo, load_table, table_path

__all__ = [
    "Calibration",
    "CalibrationNetwork",
    "Latency",
    "LatencyPredictor",
    "LatencyTable",
    "Measurement",
    "OpLatency",
    "Profiler",
    "TableInfo",
    "load_table",
    "table_path",
]
