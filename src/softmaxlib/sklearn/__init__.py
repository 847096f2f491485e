"""Estimators for scikit-learn."""

from .._extras import require as _require

_require("sklearn", "softmaxlib.sklearn")

from .calibrated_classifier import CalibratedClassifier
from .softmax_classifier import SoftmaxClassifier

__all__ = ["CalibratedClassifier", "SoftmaxClassifier"]
