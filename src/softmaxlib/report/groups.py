"""The figures of each group of rows, and tests for differences between groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from .._checks import RowGroups
from ..decisions import Costs, Outcomes, Rule
from ..errors import InvalidInputError
from ..metrics import calibration_error
from ..metrics.bootstrap_interval import SUMS, intervals_of_sums
from ..metrics.calibration_test import calibration_test_of
from ..metrics.group_tables import GroupDifference, adjusted_differences
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.predictions import Predictions
from ..metrics.shares import clopper_pearson, weighted_share
from ..policy.figures import Weights
from .at_cost import mean_of_rows
from .cost_interval import CostRange
from .group_differences import Compared, permutation_p_value

MISSING = "(missing)"
_MOST_GROUPS = 1000
_DRAWS = 500
_BINS_OF_CONFIDENCE = 10
_LEVEL = 0.95


class Measured(NamedTuple):
    """A figure with its 95% interval; the ends are NaN where there are too few rows to tell.

    Attributes
    ----------
    value, lower, upper : float
        The figure, and the ends of the interval.
    """

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one group of rows.

    Attributes
    ----------
    name : str
        The group; rows without one are together in ``(missing)``.
    rows : int
        How many rows.
    accuracy : Measured
        Share of rows whose most likely class is the true one (interval of Clopper and Pearson).
    calibration_error : Measured
        As `Figures.calibration_error` (bootstrap interval).
    chance_error : tuple of float
        Where the calibration error would lie in 95 of 100 cases, were the probabilities exactly right.
    calibration_p_value : float
        Chance of a calibration error as large as found, were the probabilities exactly right.
    decided : Measured or None
        Share of rows that the rule did not set aside; None without a policy.
    risk : Measured or None
        Share of wrong decisions among them; None without a policy, for a rule that has actions of its own,
        and where none was decided.
    cost : Measured or None
        Mean cost of a row (interval as `Decided.cost_interval`); None for a rule without costs.
    """

    name: str
    rows: int
    accuracy: Measured
    calibration_error: Measured
    chance_error: tuple[float, float]
    calibration_p_value: float
    decided: Measured | None
    risk: Measured | None
    cost: Measured | None


@dataclass(frozen=True)
class GroupComparison:
    """The figures of each group, and the tests for their differences.

    Attributes
    ----------
    groups : tuple of GroupFigures
        In rising order of their names.
    differences : tuple of GroupDifference
        One per figure; none where there is only one group.
    """

    groups: tuple[GroupFigures, ...]
    differences: tuple[GroupDifference, ...]


class _Values(NamedTuple):
    """The values that are compared, one per row; None where the rule has none."""

    right: npt.NDArray[np.bool_]
    decided: npt.NDArray[np.bool_] | None
    wrong: npt.NDArray[np.bool_] | None
    cost: npt.NDArray[np.float64] | None


def compare_groups(
    rows: Predictions,
    groups: RowGroups,
    rule: Rule | None,
    outcomes: Outcomes | None,
    costs: Costs | None,
    possible: CostRange | None,
    seed: int,
) -> GroupComparison:
    """Judge each group of rows by itself, and test whether they differ."""
    if len(groups.names) > _MOST_GROUPS:
        raise InvalidInputError(
            f"groups must be at most {_MOST_GROUPS:,} to be compared, got {len(groups.names):,}; join them, "
            "such as stores into regions"
        )
    values = _values(rows, rule, outcomes, costs)
    weights = rows.sample_weight
    counts = np.ones(len(rows.labels), bool) if weights is None else weights > 0
    found = []
    for number, name in enumerate(groups.names):
        some = np.flatnonzero((groups.place == number) & counts)
        if some.size:
            of_some = None if weights is None else weights[some]
            part = Predictions.of_logits(rows.values[some], rows.labels[some], of_some)
            found.append(_figures(name, part, _part(values, some), possible, seed))
    if len(found) < 2:
        return GroupComparison(tuple(found), ())
    confidence = rows.figure("confidence")
    return GroupComparison(tuple(found), _differences(values, confidence, groups.place, counts, weights))


def _values(rows: Predictions, rule: Rule | None, outcomes: Outcomes | None, costs: Costs | None) -> _Values:
    right = rows.figure("correct")
    if rule is None or outcomes is None:
        return _Values(right, None, None, None)
    decision = outcomes.decision
    wrong = decision.action != rows.labels if rule.takes_classes(outcomes.class_names) else None
    return _Values(right, ~decision.abstained, wrong, None if costs is None else costs.of_rows)


def _part(values: _Values, rows: IntArray) -> _Values:
    return _Values(
        values.right[rows],
        None if values.decided is None else values.decided[rows],
        None if values.wrong is None else values.wrong[rows],
        None if values.cost is None else values.cost[rows],
    )


def _figures(
    name: str, rows: Predictions, values: _Values, possible: CostRange | None, seed: int
) -> GroupFigures:
    weights = rows.sample_weight
    test = calibration_test_of(rows, simulations=_DRAWS, seed=seed)
    low, high = np.quantile(test.null, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return GroupFigures(
        name=name,
        rows=len(rows.labels),
        accuracy=_share(values.right, weights),
        calibration_error=_calibration_error(rows, float(test.value), seed),
        chance_error=(float(low), float(high)),
        calibration_p_value=float(test.p_value),
        decided=None if values.decided is None else _share(values.decided, weights),
        risk=_risk(values, weights),
        cost=_cost(values, weights, possible),
    )


def _share(hit: npt.NDArray[np.bool_], weights: Weights | None) -> Measured:
    share = weighted_share(hit, weights)
    return Measured(float(share.value), *(float(end) for end in clopper_pearson(share, _LEVEL)))


def _risk(values: _Values, weights: Weights | None) -> Measured | None:
    if values.decided is None or values.wrong is None or not values.decided.any():
        return None
    return _share(values.wrong[values.decided], None if weights is None else weights[values.decided])


def _calibration_error(rows: Predictions, value: float, seed: int) -> Measured:
    if len(rows.labels) < LEAST_ROWS:
        return Measured(value, np.nan, np.nan)
    (found,) = intervals_of_sums(
        [(SUMS[calibration_error](rows), value)], len(rows.labels), seed=seed, weights=rows.weights
    )
    return Measured(value, found.lower, found.upper)


def _cost(values: _Values, weights: Weights | None, possible: CostRange | None) -> Measured | None:
    if values.cost is None or possible is None:
        return None
    return Measured(*mean_of_rows(values.cost, weights, possible))


def _differences(
    values: _Values,
    confidence: npt.NDArray[np.float64],
    group: IntArray,
    counts: npt.NDArray[np.bool_],
    weights: Weights | None,
) -> tuple[GroupDifference, ...]:
    p_values = {}
    for figure, (value, stratum, some) in _compared(values, confidence):
        rows = counts if some is None else counts & some
        p_values[figure] = (
            permutation_p_value(
                Compared(
                    value[rows],
                    group[rows],
                    None if stratum is None else stratum[rows],
                    None if weights is None else weights[rows],
                )
            )
            if np.unique(group[rows]).size > 1
            else 1.0
        )
    return adjusted_differences(p_values)


def _compared(
    values: _Values, confidence: npt.NDArray[np.float64]
) -> Iterator[tuple[str, tuple[npt.NDArray[np.float64], IntArray | None, npt.NDArray[np.bool_] | None]]]:
    """Yield what is compared: name, values, strata and, if not all rows, which of them."""
    yield "accuracy", (values.right.astype(np.float64), None, None)
    edges = np.unique(np.quantile(confidence, np.arange(1, _BINS_OF_CONFIDENCE) / _BINS_OF_CONFIDENCE))
    # shuffled only among rows of about the same confidence, because confidence may differ between groups
    stratum = np.searchsorted(edges, confidence, side="right")
    yield "calibration", (values.right - confidence, stratum, None)
    if values.decided is not None and not values.decided.all() and values.decided.any():
        yield "share decided", (values.decided.astype(np.float64), None, None)
    if values.wrong is not None and values.decided is not None and _is_news(values.wrong, values):
        yield "risk", (values.wrong.astype(np.float64), None, values.decided)
    if values.cost is not None:
        yield "cost", (values.cost, None, None)


def _is_news(wrong: npt.NDArray[np.bool_], values: _Values) -> bool:
    """Return True if the risk is not the same as one minus the accuracy."""
    assert values.decided is not None
    return bool(values.decided.any()) and not (values.decided.all() and (wrong != values.right).all())
