"""OpGraph and weights to files that phones run: float32, float16 or int8. No torch."""

from mobilenas.export.excerpt import Excerpt
from mobilenas.export.lowering import DTYPES, lower
from mobilenas.export.metadata import Metadata
from mobilenas.export.metadata_reader import metadata_of_entries, read_metadata
from mobilenas.export.onnx_writer import OPSET, write_onnx
from mobilenas.export.ranges import Ranges
from mobilenas.export.reader import TfliteNetwork, counted, read_tflite
from mobilenas.export.size import FILE_BYTES, op_file_bytes
from mobilenas.export.tflite_file import TfliteFile
from mobilenas.export.weights import Weights, folded_network, random_weights, read_weights
from mobilenas.export.writer import expected_operators, output_shapes, write_micro_model, write_tflite

__all__ = [
    "DTYPES",
    "FILE_BYTES",
    "OPSET",
    "Excerpt",
    "Metadata",
    "Ranges",
    "TfliteFile",
    "TfliteNetwork",
    "Weights",
    "counted",
    "expected_operators",
    "folded_network",
    "lower",
    "metadata_of_entries",
    "op_file_bytes",
    "output_shapes",
    "random_weights",
    "read_metadata",
    "read_tflite",
    "read_weights",
    "write_micro_model",
    "write_onnx",
    "write_tflite",
]
