"""Estimators for scikit-learn."""

from .calibrated_classifier import CalibratedClassifier
from .softmax_classifier import SoftmaxClassifier

__all__ = ["CalibratedClassifier", "SoftmaxClassifier"]
