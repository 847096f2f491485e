"""Loss functions for training, with exact gradients."""

from .cross_entropy import LossAndGradient, cross_entropy, cross_entropy_grad
from .linear_cross_entropy import LinearLossAndGradient, linear_cross_entropy, linear_cross_entropy_grad
from .log_sum_exp import LogSumExp
from .sigmoid_cross_entropy import sigmoid_cross_entropy, sigmoid_cross_entropy_grad

__all__ = [
    "LinearLossAndGradient",
    "LogSumExp",
    "LossAndGradient",
    "cross_entropy",
    "cross_entropy_grad",
    "linear_cross_entropy",
    "linear_cross_entropy_grad",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_grad",
]
