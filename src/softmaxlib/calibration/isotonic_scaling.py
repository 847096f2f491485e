"""A monotone curve per class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._stored import Array
from .base import Calibration, Weights
from .one_versus_rest import (
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


class IsotonicScaling(Calibration):
    """Map the probability of each class to an observed frequency by a monotone curve.

    For each class, this is isotonic regression of "the label is this class" on the log-odds log(p / (1 - p))
    of the class, with p = softmax(logits). The frequencies of a row are then divided by their sum. The curve
    follows any monotone distortion, and needs some thousand rows. With fewer rows, `VectorScaling` is better.

    - Rows with equal log-odds are joined, so their order does not matter.
    - No frequency is exactly 0 or 1: each block counts one more row at the base rate of the class.
    - Between the centers of neighbouring blocks the curve is linear in log-odds, so different rows do not
      become equal. Outside it is constant (centered isotonic regression).

    Attributes
    ----------
    knots_, values_ : ndarray of float64
        Log-odds and frequencies of the corners of the curves, class after class.
    starts_ : ndarray of int64, shape (classes + 1,)
        Class k has the corners ``starts_[k]`` to ``starts_[k + 1] - 1``.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
    KDD 2002.
    A. P. Oron, N. Flournoy, "Centered isotonic regression", Statistics in Biopharmaceutical Research 9, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import IsotonicScaling
    >>> logits = np.repeat([[2.0, 0.0], [0.0, 2.0]], 100, axis=0)
    >>> labels = np.repeat([0, 1, 0, 1], [70, 30, 20, 80])  # 88 were expected to be right
    >>> IsotonicScaling().fit(logits, labels).predict_proba([[2.0, 0.0], [0.0, 2.0]]).round(2)
    array([[0.7, 0.3],
           [0.2, 0.8]])
    """

    command_name = "isotonic"

    _fitted = {  # noqa: RUF012
        "starts_": Array(("any",), kind="i"),
        "knots_": Array(("any",)),
        "values_": Array(("any",)),
    }

    starts_: npt.NDArray[np.int64]
    knots_: Floats
    values_: Floats

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        odds = Odds(logits)
        rates = base_rates(labels, weights, logits.shape[1])
        curves = [
            _curve(distinct(odds.levels(index), labels == index, weights), rate)
            for index, rate in enumerate(rates.tolist())
        ]
        self.starts_, self.knots_, self.values_ = Curves.join(curves)

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        curves = Curves(self.starts_, self.knots_, self.values_)
        frequencies = log_odds(logits)
        for index in range(self.class_count_):
            frequencies[:, index] = np.interp(frequencies[:, index], *curves.of_class(index))
        return to_logits(frequencies)

    def _export(self, logits: Tensor) -> Tensor:
        odds, _, _ = export_log_odds(logits, self.class_count_)
        curves = Curves(self.starts_, self.knots_, self.values_).to_graph(logits.graph)
        return export_to_logits(curves.interpolate(odds, logits.graph.columns(self.class_count_)))

    def _check_state(self) -> None:
        Curves(self.starts_, self.knots_, self.values_).check(type(self).__name__, self.class_count_)


def _curve(seen: Distinct, rate: float) -> tuple[Floats, Floats]:
    """Return centers of the blocks, and their frequencies after one more row at the base rate."""
    blocks = _pool(seen.hits / seen.rows, seen.rows)
    rows = np.bincount(blocks, seen.rows).astype(np.float64)
    center = np.bincount(blocks, seen.rows * seen.values) / rows
    frequency = (np.bincount(blocks, seen.hits) + rate) / (rows + 1)
    again = _pool(frequency, rows + 1)  # small blocks move more than large ones, which can break the order
    knots = np.bincount(again, rows * center) / np.bincount(again, rows)
    return knots, below_one(np.bincount(again, (rows + 1) * frequency) / np.bincount(again, rows + 1))


def _pool(frequencies: Floats, rows: Floats) -> npt.NDArray[np.int64]:
    """Return the block of each point, numbered from 0: pool adjacent violators."""
    from scipy.optimize import isotonic_regression

    starts = isotonic_regression(frequencies, weights=rows).blocks
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))
