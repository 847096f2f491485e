"""Two probabilities per class; one of them is calibrated, for any model."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _json
from .._checks import RandomState, check_integer, check_random_state
from .._frameworks import in_kind_of
from .._graph import Tensor
from .._renamed import checked_keywords
from .._stored import Array, Integer, OrNone
from ..errors import FileFormatError
from .base import Calibration, Weights
from .one_versus_rest import (
    BOUND,
    EDGE_MARGIN,
    Curves,
    Floats,
    export_log_odds,
    export_to_logits,
    log_odds,
    to_logits,
)
from .ties import Distinct, Levels, Odds, distinct

_BELOW_ALL = -BOUND - 1  # the first knot of every curve: below all log-odds


class ProbabilityPair(NamedTuple):
    """The two probabilities of each class.

    Attributes
    ----------
    lower, upper : ndarray of float64, shape (rows, classes)
        The frequency of the class among similar rows, if this row is counted as not of the class, and if it
        is counted as of the class.
    """

    lower: Floats
    upper: Floats


class VennAbers(Calibration):
    r"""Compute two probabilities per class, p0 and p1, by isotonic regressions that include the new row.

    For each class, the new row is added to the rows of the fit, once as a row that is not of the class, and
    once as one that is. Isotonic regression of "the label is this class" on the log-odds of the class then
    gives p0 and p1. For any model, one of the two is calibrated: that of the true label. The only assumption
    is that rows are exchangeable. The probability between them

    .. math:: p = \frac{p_1}{1 - p_0 + p_1}

    minimizes the log loss in the worse of the two cases. The probabilities of a row are then divided by their
    sum, which is already 1 for two classes.

    Parameters
    ----------
    cv : int, optional
        Number of parts of the rows, at least 2. Each part gives a pair, and the geometric means of p1 and of
        1 - p0 are used (cross Venn-Abers). The curve then has more and smaller steps, but no guarantee. By
        default all rows give one pair (inductive Venn-Abers).
    random_state : int or Generator, default 0
        Seed of the assignment of rows to parts.

    Attributes
    ----------
    knots_, values_ : ndarray of float64
        Log-odds and values of steps: first those of p0 for each class, then those of 1 - p1 for each class,
        by the negative log-odds.
    starts_ : ndarray of int64, shape (2 * classes + 1,)
        Curve k has the steps ``starts_[k]`` to ``starts_[k + 1] - 1``.
    class_count_ : int
        Number of classes of the logits in `fit`.

    Notes
    -----
    The fit determines the pairs of all new rows, because they change only at the log-odds of rows of the fit.
    So a new row takes two searches per class. Log-odds that only rounding tells apart are equal. If p0 and p1
    are far apart, few rows of the fit were similar.

    A row of weight 2 in the fit counts as two rows. A new row counts as one.

    References
    ----------
    V. Vovk, I. Petej, "Venn-Abers predictors", UAI 2014.
    V. Vovk, I. Petej, V. Fedorova, "Large-scale probabilistic predictors with and without guarantees of
    validity", NeurIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import VennAbers
    >>> logits = np.repeat([[2.0, 0.0], [0.0, 2.0]], 100, axis=0)
    >>> labels = np.repeat([0, 1, 0, 1], [70, 30, 20, 80])
    >>> fitted = VennAbers().fit(logits, labels)
    >>> lower, upper = fitted.predict_pair([[2.0, 0.0]])
    >>> print(lower[0, 1].round(4), upper[0, 1].round(4), fitted.predict_proba([[2.0, 0.0]])[0, 1].round(4))
    0.297 0.3069 0.3039
    """

    command_name = "venn-abers"

    _settings = {"cv": OrNone(Integer(lower=2)), "random_state": Integer()}  # noqa: RUF012
    _fitted = {  # noqa: RUF012
        "starts_": Array(("any",), kind="i"),
        "knots_": Array(("any",)),
        "values_": Array(("any",)),
    }

    starts_: npt.NDArray[np.int64]
    knots_: Floats
    values_: Floats

    @checked_keywords
    def __init__(self, cv: int | None = None, random_state: RandomState = 0) -> None:
        self.cv = None if cv is None else check_integer(cv, "cv", lower=2, upper=_json.LARGEST_INTEGER)
        self.random_state = check_random_state(random_state)

    def predict_pair(self, logits: Any) -> ProbabilityPair:
        """Return p0 and p1 of each class.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits, with as many classes as in `fit`.

        Returns
        -------
        ProbabilityPair
            ``lower`` and ``upper``, each of shape (rows, classes), with the array type and device of
            `logits`.

        Raises
        ------
        NotFittedError
            If the calibration is not fitted.
        InvalidInputError
            If the number of classes differs, or logits are not finite.
        """
        below, above = self._pair(log_odds(self._checked(logits)))
        return in_kind_of(logits, ProbabilityPair(below, 1 - above))

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        odds, parts = Odds(logits), self._parts(len(labels))
        rising, falling = [], []
        for index in range(logits.shape[1]):
            levels, hit = odds.levels(index), labels == index
            rising.append(self._curve(levels, hit, weights, parts))
            falling.append(self._curve(levels.negated(), ~hit, weights, parts))
        self.starts_, self.knots_, self.values_ = Curves.join(rising + falling)

    def _curve(
        self, levels: Levels, hit: npt.NDArray[np.bool_], weights: Floats, parts: list[npt.NDArray[np.int64]]
    ) -> tuple[Floats, Floats]:
        """Return the steps of one curve, by the rows of each part."""
        return _mean_steps([_steps(distinct(levels, hit, weights, part)) for part in parts])

    def _parts(self, rows: int) -> list[npt.NDArray[np.int64]]:
        if self.cv is None:
            return [np.arange(rows)]
        order = np.random.default_rng(self.random_state).permutation(rows)
        return [order[part :: self.cv] for part in range(min(self.cv, rows))]

    def _pair(self, odds: Floats) -> tuple[Floats, Floats]:
        """Compute p0 and 1 - p1 of each class."""
        curves = Curves(self.starts_, self.knots_, self.values_)
        found = []
        for first, signed in ((0, odds), (self.class_count_, -odds)):
            steps = np.empty_like(odds)
            for index in range(self.class_count_):
                knots, values = curves.of_class(first + index)
                steps[:, index] = values[np.searchsorted(knots, signed[:, index], side="right") - 1]
            found.append(steps)
        return found[0], found[1]

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        below, above = self._pair(log_odds(logits))
        return to_logits((1 - above) / ((1 - below) + (1 - above)))

    def _export(self, logits: Tensor) -> Tensor:
        graph, classes = logits.graph, self.class_count_
        odds, _, _ = export_log_odds(logits, classes)
        curves = Curves(self.starts_, self.knots_, self.values_).to_graph(graph, EDGE_MARGIN)
        below = 1.0 - curves.values.take(curves.find(odds, graph.columns(classes)))
        above = 1.0 - curves.values.take(curves.find(0.0 - odds, graph.columns(classes) + classes))
        return export_to_logits(above / (below + above))

    def _check_state(self) -> None:
        curves = Curves(self.starts_, self.knots_, self.values_)
        curves.check(type(self).__name__, 2 * self.class_count_, least=0.0)
        if (self.knots_[self.starts_[:-1]] != _BELOW_ALL).any():
            raise FileFormatError(
                f"VennAbers.knots_ of each class must begin with {_BELOW_ALL:g}; {_json.ADVICE}"
            )


def _steps(seen: Distinct) -> tuple[Floats, Floats]:
    """Return the steps of p0 of a new row: its value from each knot up to the next.

    A new row that does not hit, at log-odds s, is the last of its block in the isotonic regression: it counts
    with the rows at the last point at or below s. The regression is the slope of the greatest convex minorant
    of the points (rows so far, hits so far). The added row moves all points behind it to the right.
    From the last point to the first, the minorant up to the added row is kept as a stack of corners; where
    the added row moves back, a single point moves.
    """
    rows = np.concatenate([[0.0], np.cumsum(seen.rows)]).tolist()
    hits = np.concatenate([[0.0], np.cumsum(seen.hits)]).tolist()
    values = np.empty(len(seen.values))
    corners = _corners(seen)
    for place in range(len(values), 0, -1):
        moved = (rows[place] + 1, hits[place])
        if _is_below(moved, corners):
            corners.pop()
            while len(corners) > 1 and not _is_convex(corners[-2], corners[-1], moved):
                corners.pop()
            corners.append(moved)
        (left, low), (right, high) = corners[-2:]
        values[place - 1] = (high - low) / (right - left)
    rises = np.diff(values, prepend=0.0) > 0
    return np.append(_BELOW_ALL, seen.edges[rises]), np.append(0.0, values[rises])


Point = tuple[float, float]


def _corners(seen: Distinct) -> list[Point]:
    """Return the corners of the minorant with the added row after all others."""
    from scipy.optimize import isotonic_regression

    rows = seen.rows.copy()
    rows[-1] += 1
    starts = isotonic_regression(seen.hits / rows, weights=rows).blocks
    ends = [np.concatenate([[0.0], np.cumsum(part)])[starts].tolist() for part in (rows, seen.hits)]
    return list(zip(*ends, strict=True))


def _is_below(point: Point, corners: list[Point]) -> bool:
    """Return True if a point is below the last edge."""
    (left, low), (right, high) = corners[-2:]
    return (point[1] - low) * (right - left) < (high - low) * (point[0] - left)


def _is_convex(first: Point, second: Point, third: Point) -> bool:
    """Tell whether the slope rises at the second point."""
    before = (second[1] - first[1]) * (third[0] - second[0])
    return before < (third[1] - second[1]) * (second[0] - first[0])


def _mean_steps(parts: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return 1 minus the geometric mean of 1 - value, at each knot of a part."""
    if len(parts) == 1:
        return parts[0]
    knots = np.unique(np.concatenate([knots for knots, _ in parts]))
    total = np.zeros(len(knots))
    for own, values in parts:
        total += np.log1p(-values)[np.searchsorted(own, knots, side="right") - 1]
    values = -np.expm1(total / len(parts))
    rises = np.diff(values, prepend=-1.0) > 0
    return knots[rises], values[rises]
