"""Logits to logits, fitted on held-out data, so that the softmax of them can be believed."""

from .auto import Auto
from .base import Calibration
from .histogram_binning import HistogramBinning
from .identity import Identity
from .isotonic_scaling import IsotonicScaling
from .matrix_scaling import MatrixScaling
from .temperature_scaling import TemperatureScaling
from .vector_scaling import VectorScaling

__all__ = [
    "Auto",
    "Calibration",
    "HistogramBinning",
    "Identity",
    "IsotonicScaling",
    "MatrixScaling",
    "TemperatureScaling",
    "VectorScaling",
]
