"""Latency from a look-up table of measured ops. No torch."""

from mobilenas.latency.calibration import Calibration, CalibrationNetwork
from mobilenas.latency.calibration_set import calibration_networks
from mobilenas.latency.choice import next_ops
from mobilenas.latency.compiled import CompiledLatency
from mobilenas.latency.measuring import (
    TRANSFER_NETWORKS,
    TRANSFER_OPS,
    load_predictor,
    steady_runner,
    transferred_table,
    up_to_date_table,
)
from mobilenas.latency.predictor import Latency, LatencyPredictor, OpLatency
from mobilenas.latency.profiling import Profiler
from mobilenas.latency.steady import SteadyRunner
from mobilenas.latency.table import LatencyTable, Measurement, TableInfo, load_table, table_path
from mobilenas.latency.transferring import MeasuredNetwork, telling_ops, transfer

__all__ = [
    "TRANSFER_NETWORKS",
    "TRANSFER_OPS",
    "Calibration",
    "CalibrationNetwork",
    "CompiledLatency",
    "Latency",
    "LatencyPredictor",
    "LatencyTable",
    "MeasuredNetwork",
    "Measurement",
    "OpLatency",
    "Profiler",
    "SteadyRunner",
    "TableInfo",
    "calibration_networks",
    "load_predictor",
    "load_table",
    "next_ops",
    "steady_runner",
    "table_path",
    "telling_ops",
    "transfer",
    "transferred_table",
    "up_to_date_table",
]
