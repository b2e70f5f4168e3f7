"""What a network loses in int8, and what gives it back. Needs the extra `train`."""

from mobilenas.quantization.calibration import DEFAULT_IMAGES, CalibrationSample, calibration_sample
from mobilenas.quantization.fine_tuning import fine_tuned, fine_tuning_recipe
from mobilenas.quantization.layer_error import LayerError, layer_errors
from mobilenas.quantization.quantize import Quantized, quantize
from mobilenas.quantization.simulated_int8 import SimulatedInt8

__all__ = [
    "DEFAULT_IMAGES",
    "CalibrationSample",
    "LayerError",
    "Quantized",
    "SimulatedInt8",
    "calibration_sample",
    "fine_tuned",
    "fine_tuning_recipe",
    "layer_errors",
    "quantize",
]
