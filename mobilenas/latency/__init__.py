"""Latency from a look-up table of measured ops. No torch."""

from mobilenas.latency.calibrating import calibrated_table
from mobilenas.latency.calibration import Calibration
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.calibration_set import calibration_networks
from mobilenas.latency.choice import next_ops
from mobilenas.latency.compiled import CompiledLatency
from mobilenas.latency.effort import profiling_seconds
from mobilenas.latency.excerpts import measured_excerpts
from mobilenas.latency.importing import imported_table
from mobilenas.latency.measuring import (
    TRANSFER_NETWORKS,
    TRANSFER_OPS,
    load_predictor,
    steady_runner,
    transferred_table,
    up_to_date_table,
)
from mobilenas.latency.network_list import NetworkLatency, read_network_list
from mobilenas.latency.op_key import BlockKey, OpKey
from mobilenas.latency.preamble import TableInfo
from mobilenas.latency.predictor import Latency, LatencyPredictor, OpLatency
from mobilenas.latency.profiling import Profiler
from mobilenas.latency.steady import SteadyRunner
from mobilenas.latency.table import LatencyTable, Measurement, load_table, own_table_path, table_path
from mobilenas.latency.transferring import MeasuredNetwork, telling_ops, transfer

__all__ = [
    "TRANSFER_NETWORKS",
    "TRANSFER_OPS",
    "BlockKey",
    "Calibration",
    "CalibrationNetwork",
    "CompiledLatency",
    "Latency",
    "LatencyPredictor",
    "LatencyTable",
    "MeasuredNetwork",
    "Measurement",
    "NetworkLatency",
    "OpKey",
    "OpLatency",
    "Profiler",
    "SteadyRunner",
    "TableInfo",
    "calibrated_table",
    "calibration_networks",
    "imported_table",
    "load_predictor",
    "load_table",
    "measured_excerpts",
    "next_ops",
    "own_table_path",
    "profiling_seconds",
    "read_network_list",
    "steady_runner",
    "table_path",
    "telling_ops",
    "transfer",
    "transferred_table",
    "up_to_date_table",
]
