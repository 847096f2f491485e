"""Logits to logits, fitted on held-out data, so that the softmax of them can be believed."""

from .base import Calibration
from .identity import Identity
from .matrix_scaling import MatrixScaling
from .temperature_scaling import TemperatureScaling
from .vector_scaling import VectorScaling

__all__ = ["Calibration", "Identity", "MatrixScaling", "TemperatureScaling", "VectorScaling"]
