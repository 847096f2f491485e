"""What each fitted calibration does, as a layer of plain tensor operations.

They compute in float64, as `softmaxlib.calibration` does, whatever the network's dtype, and in operations
that every exporter knows.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..calibration import (
    Auto,
    BetaCalibration,
    Calibration,
    HistogramBinning,
    Identity,
    IsotonicScaling,
    LogarithmicPool,
    MatrixScaling,
    StructuredMatrixScaling,
    StructuredVectorScaling,
    TemperatureScaling,
    VectorScaling,
)
from ..calibration.one_versus_rest import BOUND
from ..errors import UnsupportedTypeError
from .activations import log_softmax

__all__ = ["layer_of"]

# A bin begins at the log-odds of a row of the fit, which this arithmetic may find some units lower
EDGE_MARGIN = 1e-12


class _Wide(torch.nn.Module):
    """A layer whose numbers stay in float64 where the network is made half; they follow it to its device."""

    def keep(self, **values: Any) -> None:
        """Fitted numbers, as buffers."""
        for name, value in values.items():
            dtype = torch.int64 if getattr(value, "dtype", None) == torch.int64 else torch.float64
            self.register_buffer(name, torch.as_tensor(value, dtype=dtype).clone())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "_Wide":
        return super()._apply(lambda tensor: tensor.to(fn(tensor.new_empty(0)).device), recurse)


class _Unchanged(torch.nn.Module):
    """The logits, in float64."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.double()


class _Temperature(_Wide):
    """(logits - max) / temperature: the difference can't overflow."""

    temperature: Tensor

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.keep(temperature=temperature)

    def forward(self, logits: Tensor) -> Tensor:
        logits = logits.double()
        return (logits - logits.amax(-1, keepdim=True)) / self.temperature


class _Smoothing(_Temperature):
    """log((1 - floor) softmax(logits / temperature) + floor / K)."""

    floor: Tensor

    def __init__(self, temperature: float, floor: float) -> None:
        super().__init__(temperature)
        self.keep(floor=floor)

    def forward(self, logits: Tensor) -> Tensor:
        scaled = log_softmax(super().forward(logits), dim=-1) + torch.log1p(-self.floor)
        return torch.logaddexp(scaled, self.floor.log() - math.log(logits.shape[-1]))


class _Affine(_Wide):
    """matrix @ smooth(logits) + intercept, the matrix full or diagonal."""

    matrix: Tensor
    intercept: Tensor

    def __init__(self, fitted: Any, matrix: Any) -> None:
        super().__init__()
        self.smoothing = _Smoothing(fitted.temperature_, fitted.floor_)
        self.keep(matrix=matrix, intercept=fitted.intercept_)

    def forward(self, logits: Tensor) -> Tensor:
        logits = self.smoothing(logits)
        scaled = logits @ self.matrix.T if self.matrix.dim() == 2 else logits * self.matrix
        return scaled + self.intercept


class _Beta(_Wide):
    """The log-frequency of each class, a curve of three numbers over its log-odds."""

    coefficients: Tensor

    def __init__(self, fitted: Any) -> None:
        super().__init__()
        self.keep(coefficients=fitted.coefficients_.T)

    def forward(self, logits: Tensor) -> Tensor:
        odds, _ = _log_odds(logits)
        a, b, c = self.coefficients
        return -_softplus(a * _softplus(-odds) - b * _softplus(odds) - c)


class _Curves(_Wide):
    """One curve a class, looked up by bisection: gathers alone, for exporters without a sorted search."""

    knots: Tensor
    values: Tensor
    last: Tensor

    def __init__(self, fitted: Any, margin: float = 0.0) -> None:
        super().__init__()
        starts = torch.as_tensor(fitted.starts_)
        lengths = starts.diff()
        self.width = 1 << int(lengths.max() - 1).bit_length()  # of each class's part of the tables
        knots = torch.full((len(lengths), self.width), math.inf, dtype=torch.float64)
        values = torch.zeros_like(knots)
        present = torch.arange(self.width) < lengths[:, None]
        knots[present], values[present] = torch.tensor(fitted.knots_) - margin, torch.tensor(fitted.values_)
        self.keep(knots=knots.flatten(), values=values.flatten(), last=lengths - 1)

    def piece(self, odds: Tensor, index: Tensor) -> Tensor:
        """Where in the tables the last knot at or below each number lies, the first where none is."""
        place = torch.zeros_like(index) + index * self.width
        step = self.width // 2
        while step:
            place = torch.where(self.knots[place + step] <= odds, place + step, place)
            step //= 2
        return place


class _Isotonic(_Curves):
    """The frequency of each class from its log-odds, by straight lines between knots."""

    def forward(self, logits: Tensor) -> Tensor:
        odds, _ = _log_odds(logits)
        index = torch.arange(logits.shape[-1], device=logits.device).expand_as(odds)
        left = self.piece(odds, index)
        right = torch.minimum(left + 1, index * self.width + self.last[index])
        width = self.knots[right] - self.knots[left]
        share = (odds - self.knots[left]) / torch.where(width > 0, width, 1.0)
        share = torch.where(width > 0, share, 0.0).clamp(0.0, 1.0)
        return (self.values[left] + share * (self.values[right] - self.values[left])).log()


class _Bins(_Curves):
    """The frequency of each class in the bin of its log-odds."""

    def __init__(self, fitted: Any) -> None:
        super().__init__(fitted, EDGE_MARGIN)

    def forward(self, logits: Tensor) -> Tensor:
        odds, _ = _log_odds(logits)
        index = torch.arange(logits.shape[-1], device=logits.device).expand_as(odds)
        return self.values[self.piece(odds, index)].log()


class _TopBins(_Bins):
    """The frequency of the most likely class in its bin; the others share what it leaves."""

    def forward(self, logits: Tensor) -> Tensor:
        odds, top = _log_odds(logits)
        index = logits.argmax(-1, keepdim=True)
        frequency = self.values[self.piece(odds.gather(-1, index), index)]
        others = torch.where(top, -math.inf, logits.double())
        others = log_softmax(others, dim=-1).clamp(min=-BOUND) + torch.log1p(-frequency)
        return torch.where(top, frequency.log(), others)


class _Pool(_Wide):
    """The weighted mean of the members' log-probabilities, no probability of a member below a floor."""

    weights: Tensor

    def __init__(self, fitted: Any) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(layer_of(member) for member in fitted.members)
        self.floored = _Smoothing(1.0, fitted.floor_)
        self.keep(weights=fitted.weights)

    def forward(self, logits: Tensor) -> Tensor:
        parts = [self.floored(member(logits)) for member in self.members]
        return (torch.stack(parts, dim=-1) * self.weights).sum(-1)


def _softplus(values: Tensor) -> Tensor:
    """log(1 + exp(values))."""
    return values.clamp(min=0.0) + torch.log1p(torch.exp(-values.abs()))


def _log_odds(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log(p / (1 - p)) of each class, without the rounding of p to 1; and which class is the most likely."""
    logarithm = log_softmax(logits.double(), dim=-1)
    classes = torch.arange(logits.shape[-1], device=logits.device)
    top = classes == logits.argmax(-1, keepdim=True)
    rest = torch.where(top, 0.0, logarithm.exp())
    others = rest.sum(-1, keepdim=True).clamp(min=math.exp(-BOUND))
    odds = logarithm - torch.where(top, others.log(), torch.log1p(-rest))
    return odds.clamp(-BOUND, BOUND), top


_LAYERS: dict[type[Calibration], Callable[[Any], torch.nn.Module]] = {
    Auto: lambda fitted: layer_of(fitted.calibration_),
    Identity: lambda fitted: _Unchanged(),
    TemperatureScaling: lambda fitted: _Temperature(fitted.temperature_),
    VectorScaling: lambda fitted: _Affine(fitted, fitted.scale_),
    StructuredVectorScaling: lambda fitted: _Affine(fitted, fitted.scale_),
    MatrixScaling: lambda fitted: _Affine(fitted, fitted.matrix_),
    StructuredMatrixScaling: lambda fitted: _Affine(fitted, fitted.matrix_),
    LogarithmicPool: _Pool,
    BetaCalibration: _Beta,
    IsotonicScaling: _Isotonic,
    HistogramBinning: lambda fitted: (_TopBins if fitted.scope == "top_label" else _Bins)(fitted),
}


def layer_of(calibration: Calibration) -> torch.nn.Module:
    """A layer from logits (N, K) to calibrated logits (N, K) in float64."""
    kind = type(calibration)
    if kind not in _LAYERS:  # a subclass of one that is there may do something else
        raise UnsupportedTypeError(
            f"calibration must be one of softmaxlib.calibration, got {kind.__name__}; "
            "put what it does to logits, as a torch.nn.Module, behind the network, with Identity here"
        )
    return _LAYERS[kind](calibration)
