"""A frequency for each bin of each class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from .base import Calibration, Weights
from .fields import Array, Integer
from .one_versus_rest import Curves, Distinct, Floats, base_rates, distinct, log_odds, to_logits


class HistogramBinning(Calibration):
    """Turns each class's probability into how often the class happened among rows of about that probability.

    For each class the rows are cut, in the order of the class's log-odds, into bins of equal weight; a bin's
    value is the frequency of the class in it after one more row at the base rate. The frequencies of a row
    are then divided by their sum. Bins of equal weight make each value equally certain whatever the shape of
    the network's confidence, which is what the guarantees for binning need: the method to take when a
    guarantee counts more than sharpness. For the least log loss take another calibration: rows in a bin
    become equal, and the class with the largest probability may change.

    Parameters
    ----------
    bins : int, default 15
        Number of bins a class, at least 1; fewer come about where log-odds are equal.

    Attributes
    ----------
    knots_, values_ : ndarray of float64
        Lowest log-odds and frequency of each bin, class after class.
    starts_ : ndarray of int64, shape (classes + 1,)
        Class k has the bins ``starts_[k]`` to ``starts_[k + 1] - 1``.
    class_count_ : int
        Number of classes of the logits it was fitted on.

    References
    ----------
    B. Zadrozny, C. Elkan, "Obtaining calibrated probability estimates from decision trees and naive Bayesian
    classifiers", ICML 2001.
    C. Gupta, A. Ramdas, "Distribution-free calibration guarantees for histogram binning without sample
    splitting", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import HistogramBinning
    >>> logits = np.repeat([[2.0, 0.0], [0.0, 2.0]], 100, axis=0)
    >>> labels = np.repeat([0, 1, 0, 1], [70, 30, 20, 80])
    >>> HistogramBinning(bins=2).fit(logits, labels).predict_proba([[2.0, 0.0], [0.0, 2.0]]).round(2)
    array([[0.7, 0.3],
           [0.2, 0.8]])
    """

    _settings = {"bins": Integer(lower=1)}  # noqa: RUF012
    _fitted = {  # noqa: RUF012
        "starts_": Array(("any",), kind="i"),
        "knots_": Array(("any",)),
        "values_": Array(("any",)),
    }

    starts_: npt.NDArray[np.int64]
    knots_: Floats
    values_: Floats

    def __init__(self, bins: int = 15) -> None:
        if bins < 1 or bins != int(bins):
            raise InvalidInputError(f"bins must be a whole number, at least 1, got {bins}")
        self.bins = int(bins)

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        odds = log_odds(logits)
        rates = base_rates(labels, weights, logits.shape[1])
        curves = [
            self._curve(distinct(odds[:, index], labels == index, weights), rate)
            for index, rate in enumerate(rates.tolist())
        ]
        self.starts_, self.knots_, self.values_ = Curves.join(curves)

    def _curve(self, seen: Distinct, rate: float) -> tuple[Floats, Floats]:
        """Lower edges of the bins and the frequencies in them."""
        middle = (np.cumsum(seen.rows) - seen.rows / 2) / seen.rows.sum()
        _, first, place = np.unique(
            (middle * self.bins).astype(np.int64), return_index=True, return_inverse=True
        )
        return seen.values[first], (np.bincount(place, seen.hits) + rate) / (
            np.bincount(place, seen.rows) + 1
        )

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        curves = Curves(self.starts_, self.knots_, self.values_)
        frequencies = log_odds(logits)
        for index in range(self.class_count_):
            edges, values = curves.of_class(index)
            place = np.searchsorted(edges, frequencies[:, index], side="right") - 1
            frequencies[:, index] = values[np.maximum(place, 0)]
        return to_logits(frequencies)

    def _check_state(self) -> None:
        Curves(self.starts_, self.knots_, self.values_).check(type(self).__name__, self.class_count_)
