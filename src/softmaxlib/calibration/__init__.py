"""Logits to logits, fitted on held-out data, so that the softmax of them can be believed."""

from .base import Calibration
from .identity import Identity
from .temperature_scaling import TemperatureScaling

__all__ = ["Calibration", "Identity", "TemperatureScaling"]
