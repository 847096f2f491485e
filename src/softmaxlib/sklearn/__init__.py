"""Estimators for scikit-learn."""

from .softmax_classifier import SoftmaxClassifier

__all__ = ["SoftmaxClassifier"]
