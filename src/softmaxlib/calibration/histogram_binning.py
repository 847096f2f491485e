"""One frequency per bin and class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _graph
from .._checks import check_choice, check_integer
from .._graph import WIDE, Tensor
from .._json import LARGEST_INTEGER
from .._renamed import checked_keywords
from .._stored import Array, Choice, Integer
from ..activations import log_softmax
from .base import Calibration, Weights
from .one_versus_rest import (
    BOUND,
    EDGE_MARGIN,
    Curves,
    Floats,
    base_rates,
    below_one,
    export_log_odds,
    export_to_logits,
    log_odds,
    to_logits,
)
from .ties import Distinct, Odds, distinct

SCOPES = ("classwise", "top_label")


class HistogramBinning(Calibration):
    """Map the probability of each class to the observed frequency in its bin.

    For each class, the rows are split into bins of equal weight, in the order of the class's log-odds. The
    value of a bin is the frequency of the class in it, with one more row at the base rate. The frequencies of
    a row are then divided by their sum. With bins of equal weight, all values are equally certain, which the
    guarantees for binning need. Use this method if a guarantee matters more than sharpness. For the least log
    loss, use another calibration: rows in a bin become equal, and the most likely class may change.

    With ``scope="top_label"``, only the most likely class of a row is binned, among rows with the same most
    likely class. The frequency then holds for predictions of that class. The other classes share the rest in
    proportion to their probabilities.

    Parameters
    ----------
    n_bins : int, default 15
        Number of bins per class, at least 1. Equal log-odds may give fewer. A useful frequency needs about 50
        rows per bin.
    scope : {"classwise", "top_label"}, default "classwise"
        Bin every class, or only the most likely class of each row.

    Attributes
    ----------
    knots_, values_ : ndarray of float64
        Log-odds at which each bin begins, just below its lowest row, and its frequency, class after class.
    starts_ : ndarray of int64, shape (classes + 1,)
        Class k has the bins ``starts_[k]`` to ``starts_[k + 1] - 1``.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    B. Zadrozny, C. Elkan, "Obtaining calibrated probability estimates from decision trees and naive Bayesian
    classifiers", ICML 2001.
    C. Gupta, A. Ramdas, "Distribution-free calibration guarantees for histogram binning without sample
    splitting", ICML 2021.
    C. Gupta, A. Ramdas, "Top-label calibration and multiclass-to-binary reductions", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import HistogramBinning
    >>> logits = np.repeat([[2.0, 0.0], [0.0, 2.0]], 100, axis=0)
    >>> labels = np.repeat([0, 1, 0, 1], [70, 30, 20, 80])
    >>> HistogramBinning(n_bins=2).fit(logits, labels).predict_proba([[2.0, 0.0], [0.0, 2.0]]).round(2)
    array([[0.7, 0.3],
           [0.2, 0.8]])
    """

    command_name = "histogram"

    _settings = {"n_bins": Integer(lower=1), "scope": Choice(SCOPES)}  # noqa: RUF012
    _fitted = {  # noqa: RUF012
        "starts_": Array(("any",), kind="i"),
        "knots_": Array(("any",)),
        "values_": Array(("any",)),
    }

    starts_: npt.NDArray[np.int64]
    knots_: Floats
    values_: Floats

    @checked_keywords
    def __init__(self, n_bins: int = 15, scope: str = "classwise") -> None:
        self.n_bins = check_integer(n_bins, "n_bins", lower=1, upper=LARGEST_INTEGER)
        self.scope = check_choice(scope, "scope", SCOPES)

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        odds, classes = Odds(logits), logits.shape[1]
        if self.scope == "top_label":
            top = logits.argmax(axis=1)
            right = (float(weights @ (top == labels)) + 1) / (float(weights.sum()) + 2)
            of_class, rates = [top == index for index in range(classes)], [right] * classes
        else:
            of_class, rates = [slice(None)] * classes, base_rates(labels, weights, classes).tolist()
        curves = [
            self._curve(distinct(odds.levels(index, rows), labels[rows] == index, weights[rows]), rate)
            for index, (rows, rate) in enumerate(zip(of_class, rates, strict=True))
        ]
        self.starts_, self.knots_, self.values_ = Curves.join(curves)

    def _curve(self, seen: Distinct, rate: float) -> tuple[Floats, Floats]:
        """Return where the bins begin, and their frequencies. Without rows, one bin at the base rate."""
        if not seen.rows.size:
            return np.zeros(1), np.array([rate])
        middle = (np.cumsum(seen.rows) - seen.rows / 2) / seen.rows.sum()
        _, first, place = np.unique(
            (middle * self.n_bins).astype(np.int64), return_index=True, return_inverse=True
        )
        frequency = (np.bincount(place, seen.hits) + rate) / (np.bincount(place, seen.rows) + 1)
        return seen.edges[first], below_one(frequency)

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        frequencies = log_odds(logits)
        if self.scope == "top_label":
            return self._with_top(logits, frequencies)
        for index in range(self.class_count_):
            frequencies[:, index] = self._look_up(index, frequencies[:, index])
        return to_logits(frequencies)

    def _look_up(self, index: int, odds: Floats) -> Floats:
        edges, values = Curves(self.starts_, self.knots_, self.values_).of_class(index)
        return values[np.maximum(np.searchsorted(edges, odds, side="right") - 1, 0)]

    def _with_top(self, logits: npt.NDArray[Any], odds: Floats) -> Floats:
        """Return the frequency of the most likely class, and the others scaled to the remainder."""
        top = logits.argmax(axis=1)
        others = logits.astype(np.float64)
        others[np.arange(len(top)), top] = -np.inf
        scaled = np.maximum(log_softmax(others), -BOUND)
        for index in range(self.class_count_):
            rows = top == index
            frequency = self._look_up(index, odds[rows, index])
            scaled[rows] += np.log1p(-frequency)[:, None]
            scaled[rows, index] = np.log(frequency)
        return scaled

    def _export(self, logits: Tensor) -> Tensor:
        odds, column, is_top = export_log_odds(logits, self.class_count_)
        curves = Curves(self.starts_, self.knots_, self.values_).to_graph(logits.graph, EDGE_MARGIN)
        if self.scope == "classwise":
            place = curves.find(odds, logits.graph.columns(self.class_count_))
            return export_to_logits(curves.values.take(place))
        frequency = curves.values.take(curves.find(odds.pick(column), column))
        others = _graph.log_softmax(is_top.where(-np.inf, logits.cast(WIDE))).maximum(-BOUND)
        return is_top.where(frequency.log(), others + (1.0 - frequency).log())

    def _check_state(self) -> None:
        Curves(self.starts_, self.knots_, self.values_).check(type(self).__name__, self.class_count_)
