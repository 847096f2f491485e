"""Maps from logits to logits, fitted on held-out data, so that their softmax is calibrated."""

from .auto import Auto
from .base import Calibration
from .beta_calibration import BetaCalibration
from .histogram_binning import HistogramBinning
from .identity import Identity
from .isotonic_scaling import IsotonicScaling
from .logarithmic_pool import LogarithmicPool
from .matrix_scaling import MatrixScaling
from .structured_matrix_scaling import StructuredMatrixScaling
from .structured_vector_scaling import StructuredVectorScaling
from .temperature_scaling import TemperatureScaling
from .vector_scaling import VectorScaling
from .venn_abers import VennAbers

__all__ = [
    "Auto",
    "BetaCalibration",
    "Calibration",
    "HistogramBinning",
    "Identity",
    "IsotonicScaling",
    "LogarithmicPool",
    "MatrixScaling",
    "StructuredMatrixScaling",
    "StructuredVectorScaling",
    "TemperatureScaling",
    "VectorScaling",
    "VennAbers",
]
