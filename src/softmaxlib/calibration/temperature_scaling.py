"""Division of all logits by one temperature."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._graph import WIDE, Tensor, is_finite
from .._judging import Correction
from .._stored import Number
from .._warn import warn_user
from .base import Calibration, Weights
from .fit_rows import FitRows, HeldRows
from .moments import Survey, log_ties, survey_rows, tempered_moments

_COOLEST, _HOTTEST = 1e-300, 1e300
_TOLERANCE = 3e-5  # relative size of the last Newton step; the remaining error is its square


class TemperatureScaling(Calibration):
    """Divide all logits by one temperature T > 0, fitted by maximum likelihood.

    The class with the largest logit stays the same. T > 1 lowers the confidence of an overconfident model,
    and T < 1 raises that of an underconfident one. T minimizes the weighted mean log loss of softmax(x / T).
    The loss is convex in 1 / T, so there is one minimum, found by Newton steps inside a bracket::

        T = argmin  sum_i w_i ( logsumexp(x_i / T) - x_i[y_i] / T ) / sum_i w_i

    If no finite T > 0 is best, the fit issues a SoftmaxlibWarning:

    - If every label has the largest logit of its row (separable), the log loss keeps falling with T. T is
      then chosen so that the mean log loss is log((n + 2) / (n + 1)), which Laplace's rule of succession
      allows after n rows without a mistake. T is at most 1, so that the loss does not grow.
    - If the logits of the labels are on average no larger than the others, the uniform distribution is best.
      T is then so large that probabilities are uniform to about 1e-6.
    - If all logits of each row are equal, every T is equally good. T is then 1.

    Attributes
    ----------
    temperature_ : float
        The fitted T, between 1e-300 and 1e300.
    class_count_ : int
        Number of classes of the logits in `fit`.

    Notes
    -----
    The relative error of T is about 1e-8. All sums are in float64.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    >>> calibration = TemperatureScaling().fit(logits, [0, 0, 1, 1])
    >>> round(calibration.temperature_, 4)  # three of four are right, and 4 / log(3) gives 0.75
    3.641
    >>> calibration.predict_proba([[4.0, 0.0]]).round(4)
    array([[0.75, 0.25]])
    """

    command_name = "temperature"

    _fitted = {"temperature_": Number(lower=_COOLEST)}  # noqa: RUF012

    _learns_of_each_class = False

    temperature_: float

    def describe(self) -> str:
        """Describe the calibration and its temperature in one line."""
        self._check_fitted()
        return f"{self}, temperature {self.temperature_:.4g}"

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self._fit_rows(HeldRows(logits, labels, weights))

    def _fit_rows(self, rows: FitRows) -> None:
        self.temperature_, boundary = best_temperature(rows)
        if boundary:
            warn_user(
                f"no finite temperature is best: {boundary}; temperature_ is {self.temperature_:.6g} by "
                "convention. Fit on more rows, and on rows that the model was not trained on"
            )

    def correction(self) -> Correction:
        """Return the correction: logits divided by the temperature."""
        return Correction(self.temperature_)

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return divide(logits, self.temperature_)

    def _export(self, logits: Tensor) -> Tensor:
        return export_divide(logits, self.temperature_)


class Best(NamedTuple):
    """A temperature, and the reason if it is only a convention and not the minimum."""

    temperature: float
    boundary: str


def best_temperature(rows: FitRows) -> Best:
    """Return the temperature of least weighted mean log loss."""
    scale, survey = 1.0, survey_rows(rows)
    if survey.largest > 1e280:  # x - max, and its sum over rows, must not overflow
        scale = 2.0**-64
        rows = rows.scaled(scale)
        survey = survey_rows(rows)
    boundary = ""
    if survey.spread == 0:
        boundary, temperature = "every row holds one number only, any temperature is as good", scale
    elif survey.separable:
        boundary = "every label has the largest logit of its row, the log loss falls as T does"
        temperature = min(_separable_temperature(rows, survey), scale)
    elif survey.slope >= 0:
        boundary = "the labels' logits are on average no larger than the others"
        temperature = max(1e6 * survey.spread, scale)
    else:
        temperature = 1 / _least_loss(rows, 1 / max(survey.typical_spread, _COOLEST))
    return Best(float(np.clip(temperature / scale, _COOLEST, _HOTTEST)), boundary)


def _least_loss(rows: FitRows, start: float) -> float:
    """Return the inverse temperature. A part of the rows gives the start, which saves passes over all."""
    stride = rows.count // 4096
    if stride > 1:
        start = _newton(rows.every(stride), start, tolerance=1e-3, steps=20)
    return _newton(rows, start, tolerance=_TOLERANCE, steps=500)


def _newton(rows: FitRows, start: float, tolerance: float, steps: int) -> float:
    """Return the inverse temperature at which the slope is zero, from `start`."""
    low, high = _COOLEST, _HOTTEST
    inverse, last = float(np.clip(start, low, high)), np.inf
    for _ in range(steps):
        moments = tempered_moments(rows, inverse)
        low, high = (inverse, high) if moments.slope < 0 else (low, inverse)
        step = moments.slope / moments.curvature if moments.curvature > 0 else np.sign(moments.slope)
        proposal = inverse * (1 - min(max(step, -9.0), 0.9))
        stalled = abs(moments.slope) > 0.5 * last and high < 10 * low
        if stalled or not low < proposal < high:
            proposal = np.sqrt(low) * np.sqrt(high)
        last = abs(moments.slope)
        if abs(proposal - inverse) <= tolerance * inverse:
            return float(proposal)
        inverse = float(proposal)
    return inverse


def _separable_temperature(rows: FitRows, survey: Survey) -> float:
    """Return the temperature at which the loss above its limit is that of the rule of succession."""
    from scipy.optimize import brentq

    target = np.log1p(1 / (rows.total_weight + 1)) + log_ties(rows)

    def excess(log_inverse: float) -> float:
        return tempered_moments(rows, float(np.exp(log_inverse))).loss - target

    center = -np.log(survey.typical_spread)
    low, high = center - 1, center + 1
    while excess(low) < 0 and low > np.log(_COOLEST):
        low -= 2
    while excess(high) > 0 and high < np.log(_HOTTEST):
        high += 2
    if excess(low) < 0 or excess(high) > 0:  # a single row: even the uniform distribution has a smaller loss
        return 1.0
    root: Any = brentq(excess, low, high, xtol=1e-9)
    return float(np.exp(-root))


def divide(logits: npt.NDArray[Any], temperature: float) -> npt.NDArray[Any]:
    """Divide logits by the temperature. A row that would overflow is shifted to maximum 0."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        quotient = logits / logits.dtype.type(temperature)
        overflown = np.flatnonzero(~np.isfinite(quotient).all(axis=1))
        if overflown.size:
            bound = float(np.finfo(logits.dtype).max)
            half = logits[overflown].astype(np.float64) * 0.5
            shifted = (half - half.max(axis=1, keepdims=True)) / temperature
            quotient[overflown] = np.clip(shifted, -bound / 2, 0) * 2
        return quotient


def export_divide(logits: Tensor, temperature: float) -> Tensor:
    """Add the steps of `divide` to a graph, row by row."""
    graph = logits.graph
    quotient = logits / graph.fitted("temperature", temperature, logits.dtype)
    half = logits.cast(WIDE) * 0.5
    shifted = (half - half.row_max()) / graph.fitted("wide_temperature", temperature)
    shifted = shifted.maximum(-float(np.finfo(np.float32).max) / 2).minimum(0.0) * 2.0
    return is_finite(quotient).where(quotient, shifted.cast(logits.dtype))
