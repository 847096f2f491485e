"""A curve with three parameters per class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._stored import Array
from .base import Calibration, Weights
from .one_versus_rest import Floats, export_log_odds, log_odds

_RIDGE = 1e-8  # twice the cost of a number's square: keeps numbers finite where classes can be told apart
_LEAST = 1e-6  # unit of a feature
_STEPS, _HALVINGS = 200, 40
_SETTLED = 1e-12  # of Newton's decrement, relative to the loss


class BetaCalibration(Calibration):
    """Scale the logarithms of p and 1 - p of each class separately.

    For each class, with p = softmax(logits)::

        log-odds of the class = a log(p) - b log(1 - p) + c,   a, b >= 0

    The numbers minimize the log loss of "the label is this class". The frequencies of a row are then divided
    by their sum. The formula is exact if the scores of both classes follow beta distributions. Unlike Platt's
    method (`VectorScaling` of two classes), it can bend both ends of the scores separately. Use it for
    boosted trees and naive Bayes, with two classes and some hundred rows. With thousands of rows,
    `IsotonicScaling` follows any monotone curve.

    Attributes
    ----------
    coefficients_ : ndarray of float64, shape (classes, 3)
        The numbers a, b and c of each class. With two classes, the second row mirrors the first.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    M. Kull, T. Silva Filho, P. Flach, "Beta calibration: a well-founded and easily implemented improvement on
    logistic calibration for binary classifiers", AISTATS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import BetaCalibration
    >>> generator = np.random.default_rng(0)
    >>> truth = 2 * generator.standard_normal(1000)
    >>> labels = (generator.random(1000) < 1 / (1 + np.exp(-truth))).astype(int)
    >>> logits = np.stack([np.zeros(1000), np.where(truth > 0, 3 * truth, truth)], axis=1)  # too sure above
    >>> fitted = BetaCalibration().fit(logits, labels)
    >>> a, b, c = fitted.coefficients_[1]
    >>> bool(b < a)
    True
    """

    command_name = "beta"

    _fitted = {"coefficients_": Array(("classes", 3))}  # noqa: RUF012

    coefficients_: Floats

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        odds = log_odds(logits)
        self.coefficients_ = np.stack(
            [_fit_curve(odds[:, index], labels == index, weights) for index in range(logits.shape[1])]
        )

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        odds = log_odds(logits)
        a, b, c = self.coefficients_.T
        return -_softplus(a * _softplus(-odds) - b * _softplus(odds) - c)

    def _export(self, logits: Tensor) -> Tensor:
        odds, _, _ = export_log_odds(logits, self.class_count_)
        a, b, c = (
            logits.graph.fitted(name, column[None])
            for name, column in zip("abc", self.coefficients_.T, strict=True)
        )
        return 0.0 - _export_softplus(a * _export_softplus(0.0 - odds) - b * _export_softplus(odds) - c)


def _softplus(values: Floats) -> Floats:
    """Compute log(1 + exp(values)), which is -log(1 - p) of log-odds."""
    return np.maximum(values, 0.0) + np.log1p(np.exp(-np.abs(values)))


def _export_softplus(values: Tensor) -> Tensor:
    """Add the steps of `_softplus` to a graph."""
    return values.maximum(0.0) + (1.0 + (0.0 - values.abs()).exp()).log()


def _fit_curve(odds: Floats, hit: npt.NDArray[np.bool_], weights: Weights) -> Floats:
    """Compute a, b and c of one class; a factor that would be below 0 is 0."""
    features = np.stack([-_softplus(-odds), _softplus(odds), np.ones(len(odds))], axis=1)
    kept = [0, 1, 2]
    while True:
        found = np.zeros(3)
        found[kept] = _logistic(features[:, kept], hit, weights)
        negative = [index for index in kept[:-1] if found[index] < 0]
        if not negative:
            return found
        kept.remove(min(negative, key=lambda index: found[index]))


def _logistic(features: Floats, hit: npt.NDArray[np.bool_], weights: Weights) -> Floats:
    """Return the coefficients of least log loss and least ridge, by Newton's steps."""
    scale = np.maximum(np.abs(features).max(axis=0), _LEAST)
    scaled, sign = features / scale, np.where(hit, -1.0, 1.0)

    def loss(at: Floats) -> float:
        return float(np.sum(weights * _softplus(sign * (scaled @ at))) + _RIDGE * (at @ at) / 2)

    place = np.zeros(features.shape[1])
    value = loss(place)
    for _ in range(_STEPS):
        probability = np.exp(-_softplus(-(scaled @ place)))
        slope = np.einsum("i,ij->j", weights * (probability - hit), scaled) + _RIDGE * place
        mass = weights * probability * (1 - probability)
        bend = np.einsum("i,ij,ik->jk", mass, scaled, scaled) + _RIDGE * np.eye(len(place))
        step = np.linalg.lstsq(bend, slope, rcond=1e-15)[0]
        if not slope @ step > _SETTLED * max(value, 1e-300):
            break
        for halving in range(_HALVINGS):
            trial = place - step / 2**halving
            lower = loss(trial)
            if lower < value:
                break
        else:
            break
        place, value = trial, lower
    return place / scale
