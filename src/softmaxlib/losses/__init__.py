"""Losses to train by, each with its exact gradient."""

from .cross_entropy import LossAndGradient, cross_entropy, cross_entropy_grad

__all__ = ["LossAndGradient", "cross_entropy", "cross_entropy_grad"]
