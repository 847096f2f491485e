"""The features of all rows, and the sums that a search needs: from memory, or by passes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from .conditioning import Curvature
from .designs import Design, Features, Floats, doubt_of
from .fit_rows import FitRows, HeldRows
from .layout import Layout
from .likelihood import Rows
from .smoothing import Smoothing
from .strengths import ROWS_OF_CURVATURE, curvature_of

MakeDesign = Callable[[Features], Design]


class Problem(NamedTuple):
    """The loss of all rows as a function of the parameters of a design.

    Attributes
    ----------
    design : Design
        Of all rows, or of some where not all are held: the parameters mean the same.
    total_weight : float
        Of all rows.
    numbers : int
        How many features all rows have.
    loss_and_gradient : callable
        Of all rows, at given parameters.
    curvature : callable
        The second derivatives of the total loss, from some of the rows.
    """

    design: Design
    total_weight: float
    numbers: int
    loss_and_gradient: Callable[[Floats], tuple[float, Floats]]
    curvature: Callable[[Floats], Curvature]


class FeatureRows(ABC):
    """The features of all rows.

    Attributes
    ----------
    size : float
        The spread of the features about the mean of doubtful rows.
    """

    size: float

    @abstractmethod
    def about_certainty(self) -> Self:
        """Return the same features with their origin at 0, which is log(1)."""

    @abstractmethod
    def few(self) -> Features:
        """Return those of the rows that strengths are learned from."""

    @abstractmethod
    def problem(self, make_design: MakeDesign) -> Problem:
        """Return the problem of a search."""


def features_of(rows: FitRows, smoothing: Smoothing, step: int) -> FeatureRows:
    """Return features centered at the mean of doubtful rows. Strengths use every `step`-th row."""
    if isinstance(rows, HeldRows):
        features = Features.of(smoothing(rows.logits), rows.weights)
        return _Held(features, Rows(rows.labels, rows.weights, rows.classes), step)
    return _Summed.of(rows, smoothing, step)


class _Held(FeatureRows):
    def __init__(self, features: Features, rows: Rows, step: int) -> None:
        self._features, self._rows, self._step = features, rows, step
        self.size = features.size

    def about_certainty(self) -> Self:
        return type(self)(self._features.about_certainty(), self._rows, self._step)

    def few(self) -> Features:
        return self._features if self._step == 1 else self._features.some(slice(None, None, self._step))

    def problem(self, make_design: MakeDesign) -> Problem:
        design, rows = make_design(self._features), self._rows
        return Problem(
            design,
            rows.total_weight,
            self._features.standard.size,
            partial(design.loss_and_gradient, rows),
            partial(curvature_of, design, rows),
        )


class _Origin(NamedTuple):
    """The transformation from logits to features: z = center + size * standard."""

    smoothing: Smoothing
    center: Floats
    size: float

    def features(self, rows: HeldRows) -> Features:
        return Features.at(self.smoothing(rows.logits), self.center, self.size)


class _Summed(FeatureRows):
    def __init__(self, rows: FitRows, origin: _Origin, few: HeldRows, fewer: HeldRows) -> None:
        self._rows, self._origin, self._few, self._fewer = rows, origin, few, fewer
        self.size = origin.size

    @classmethod
    def of(cls, rows: FitRows, smoothing: Smoothing, step: int) -> Self:
        total, *mean = rows.total(_doubtful_mean, smoothing).tolist()
        center = np.array(mean) / total
        square = rows.total(_doubtful_square, smoothing, center)[0] / total
        origin = _Origin(smoothing, center, float(np.sqrt(square / rows.classes)) or 1.0)
        fewer = rows.every(max(1, rows.count // ROWS_OF_CURVATURE))
        return cls(rows, origin, rows.every(step), fewer)

    def about_certainty(self) -> Self:
        origin = self._origin._replace(center=np.zeros_like(self._origin.center))
        return type(self)(self._rows, origin, self._few, self._fewer)

    def few(self) -> Features:
        return self._origin.features(self._few)

    def problem(self, make_design: MakeDesign) -> Problem:
        rows, origin, fewer = self._rows, self._origin, self._fewer
        design = make_design(origin.features(fewer))
        standing_for_all = fewer.times(rows.total_weight / fewer.total_weight)
        laid_out = Rows(fewer.labels, standing_for_all.weights, fewer.classes)

        def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
            total = rows.total(_loss_and_gradient, make_design, origin, parameters)
            return float(total[-1]), total[:-1]

        layout = Layout.of(rows.count)
        numbers = layout.blocks * layout.length * rows.classes
        curvature = partial(curvature_of, design, laid_out)
        return Problem(design, rows.total_weight, numbers, loss_and_gradient, curvature)


def _loss_and_gradient(
    rows: HeldRows, make_design: MakeDesign, origin: _Origin, parameters: Floats
) -> Floats:
    """Return the derivatives by the parameters, and last the loss."""
    laid_out = Rows(rows.labels, rows.weights, rows.classes)
    loss, gradient = make_design(origin.features(rows)).loss_and_gradient(laid_out, parameters)
    return np.append(gradient, loss)


def _doubtful_mean(rows: HeldRows, smoothing: Smoothing) -> Floats:
    """Return the total doubt, and the sums of the smoothed log-probabilities weighted by it."""
    layout = Layout.of(rows.count)
    smoothed = layout.columns(smoothing(rows.logits))
    doubt = doubt_of(smoothed, layout.vector(rows.weights))
    return np.append(doubt.sum(), np.einsum("bi,bki->k", doubt, smoothed))


def _doubtful_square(rows: HeldRows, smoothing: Smoothing, center: Floats) -> Floats:
    """Return the sum of the squared distances from the center, weighted by the doubt."""
    layout = Layout.of(rows.count)
    smoothed = layout.columns(smoothing(rows.logits))
    doubt = doubt_of(smoothed, layout.vector(rows.weights))
    smoothed -= center[:, None]
    return np.array([np.einsum("bi,bki,bki->", doubt, smoothed, smoothed)])
