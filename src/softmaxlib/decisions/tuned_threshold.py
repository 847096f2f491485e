"""A threshold for two classes, chosen on held-out rows by a metric or by costs."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .. import _json
from .._arrays import Array, FloatArray, IntArray
from .._checks import RandomState, check_choice, check_integer, check_random_state, check_share
from .._graph import Tensor
from .._renamed import checked_keywords
from .._stored import Array as StoredArray
from .._stored import Choice, Integer, Number, OrNone
from ..errors import FileFormatError, InvalidInputError
from ..metrics.binary_figures import BINARY_METRICS, binary_figure
from ..metrics.simulation import simulated_p_value
from ._binary_costs import check_binary_cost, cost_of_classes
from ._positive_class import export_positive, take_positive
from ._promise_cells import PromiseCells
from ._rounding import lowered
from ._share_floors import FLOOR_METRICS, FloorField, check_floor, read_floor
from ._threshold_costs import threshold_costs
from ._threshold_search import (
    Goal,
    Rows,
    candidates,
    draw_tables,
    effective_weights,
    find_threshold,
    pairs_of,
    table_of_pairs,
)
from .decision import Decision, Floats
from .exported_decision import ExportedDecision
from .option import CONFIDENCE, COSTS, Option
from .outcomes import Costs, Outcomes, Promise
from .rule import Rule, check_class_count
from .words import from_probability

_SHARE = Number(lower=0, upper=1)

# with a floor, thresholds are fixed before any data: every 1/32 of log-odds
_GRID = lowered(np.append(0.0, 1 / (1 + np.exp(-np.arange(-36.0, 36.0, 1 / 32)))))


class TunedThreshold(Rule):
    r"""Take the second of two classes if its probability reaches a threshold that is chosen on held-out rows.

    .. math:: a_i = 1 \text{ if } p_{i1} \ge t, \text{ else } 0

    `fit` chooses t by a metric or by costs, on held-out rows. The figure on the same rows is too optimistic.
    So `fit` also judges thresholds on rows that they were not chosen on (cross-fitting), and gives an
    interval for the figure on new rows.

    If the probabilities are calibrated and the costs are known, `MinimumCost` needs no threshold. Use this
    rule if the objective is a function of counts (F1 score, Matthews correlation), or if the probabilities
    are not reliable.

    Parameters
    ----------
    metric : str, optional
        The metric to maximize: ``"accuracy"``, ``"balanced_accuracy"``, ``"f1_score"``,
        ``"matthews_correlation"``, ``"precision"``, ``"recall"`` or ``"specificity"``, as in
        `softmaxlib.metrics`. The last three need `at_least`, because each alone is largest if one class is
        always taken.
    cost : array of float, shape (2, 2), optional
        Instead of `metric`, minimize the mean cost per row. ``cost[k, a]`` is the cost of action a if the
        truth is class k. A mistake must cost more than the right action.
    at_least : pair of str and float, optional
        ``("precision", 0.9)``: a floor for ``"precision"``, ``"recall"`` or ``"specificity"``. It holds for
        new rows with probability `confidence`. If this can't be guaranteed for any threshold, `fit` raises an
        error.
    cv : int, default 5
        Number of parts of the rows, at least 2. Each part is decided by a threshold of the others.
    confidence : float, default 0.95
        The level of `interval_`, and the confidence of the floor, in (0, 1).
    random_state : int or numpy.random.Generator, default 0
        Seed of the assignment of rows to parts.

    Attributes
    ----------
    threshold_ : float
        Class 1 is taken if its probability is at least this.
    value_ : float
        The metric, or the mean cost, that is expected on new rows (cross-fitted).
    interval_ : tuple of float
        Interval of the figure on many new rows, with probability `confidence`.
    in_sample_ : float
        The figure on the rows that the threshold was chosen on.
    counts_ : ndarray of float64, shape (2, 2)
        Entry [k, a] is the number of rows of class k with action a, decided by thresholds of other rows: the
        mean of ten assignments to parts. With weights, the effective number of rows.
    widening_ : float
        Increase of the variance of the figure because the threshold itself varies.

    Raises
    ------
    InvalidInputError
        If not exactly one of `metric` and `cost` is given, or an argument is invalid. In `fit`, if all rows
        are of one class, or the floor can't be promised.

    Notes
    -----
    Thresholds lie halfway between neighbouring probabilities, and never between those that only rounding
    tells apart. The lowest of equally good ones is used. With a floor, the thresholds are those of a fixed
    grid (1/32 of log-odds), and the floor is tested by exact binomial tests: for precision by the fallback
    procedure of `SelectiveRisk`, and for recall and specificity in order, because they are monotone in the
    threshold.

    The interval is that of the counts' posterior under Jeffreys' prior. Thresholds of four fifths of the rows
    vary less than thresholds of new rows would. This variation is scaled up, and the counts are reduced
    accordingly (`widening_`). ``benchmarks/tuned_threshold.py`` measures how often the interval holds.

    With weights the figure is weighted, and interval, floor and audit use the effective number of rows (sum
    w)^2 / sum w^2 (Kish). There a weight of 2 is not the same as the row twice.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (IJCAI 2001); Lipton, Elkan, Narayanaswamy, "Optimal
    thresholding of classifiers to maximize F1 measure" (ECML 2014); Angelopoulos, Bates, Candès, Jordan, Lei,
    "Learn then test", Annals of Applied Statistics 19 (2025); Shao, Wu, "A general theory for jackknife
    variance estimation", Annals of Statistics 17 (1989).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.decisions import TunedThreshold
    >>> rng = np.random.default_rng(0)
    >>> positive = rng.beta(1, 8, size=1000)
    >>> labels = (rng.random(1000) < positive).astype(int)
    >>> probabilities = np.stack([1 - positive, positive], axis=1)
    >>> rule = TunedThreshold("f1_score").fit(probabilities, labels, probabilities=True)
    >>> rule.decide([[0.9, 0.1], [0.6, 0.4]], probabilities=True).action
    array([0, 1])
    >>> rule.value_ < rule.in_sample_
    True
    """

    command_name = "tuned-threshold"
    command_options = (
        Option(
            "tune",
            "text",
            "A tuned threshold for two classes: the figure to optimize, cost (with --cost) or one of "
            f"{', '.join(BINARY_METRICS)}.",
            is_needed=True,
        ),
        Option(
            "at_least", "text", "With --tune: the least precision, recall or specificity (precision=0.9)."
        ),
        COSTS,
        CONFIDENCE,
    )

    _settings = {  # noqa: RUF012
        "metric": OrNone(Choice(BINARY_METRICS)),
        "cost": OrNone(StoredArray((2, 2))),
        "at_least": FloorField(),
        "cv": Integer(lower=2),
        "confidence": _SHARE,
        "random_state": Integer(),
    }
    _fitted = {  # noqa: RUF012
        "threshold_": _SHARE,
        "in_sample_": Number(),
        "counts_": StoredArray((2, 2)),
        "widening_": Number(lower=1),
    }

    threshold_: float
    in_sample_: float
    counts_: Floats
    widening_: float

    @checked_keywords
    def __init__(
        self,
        metric: str | None = None,
        *,
        cost: Array | None = None,
        at_least: tuple[str, float] | None = None,
        cv: int = 5,
        confidence: float = 0.95,
        random_state: RandomState = 0,
    ) -> None:
        if (metric is None) == (cost is None):
            raise InvalidInputError(
                f"give one of metric and cost, got {'both' if metric is not None else 'neither'}; such as "
                'TunedThreshold("f1_score") or TunedThreshold(cost=[[0, 1], [50, 0]])'
            )
        self.metric = None if metric is None else check_choice(metric, "metric", BINARY_METRICS)
        self.cost = None if cost is None else check_binary_cost(cost)
        self.at_least = None if at_least is None else check_floor(at_least)
        if metric in FLOOR_METRICS and (self.at_least is None or self.at_least.metric == metric):
            other = "recall" if metric == "precision" else "precision"
            raise InvalidInputError(
                f"{metric} alone is best where one class is always taken: add a floor of another metric, "
                f'such as at_least=("{other}", 0.9)'
            )
        self.cv = check_integer(cv, "cv", lower=2, upper=_json.LARGEST_INTEGER)
        self.confidence = check_share(confidence, "confidence", "0.95 means 95 percent")
        self.random_state = check_random_state(random_state)

    def __repr__(self) -> str:
        told = repr(self.metric) if self.cost is None else f"cost={self.cost.tolist()}"
        floor = "" if self.at_least is None else f", at_least={tuple(self.at_least)}"
        return f"TunedThreshold({told}{floor})"

    @property
    def figure_name(self) -> str:
        """The name of the figure: that of the metric, or ``"cost"``."""
        return self.metric or "cost"

    @property
    def value_(self) -> float:
        """The metric, or the mean cost, that is expected on new rows."""
        self._check_fitted()
        return float(self._figure(self.counts_))

    @property
    def interval_(self) -> tuple[float, float]:
        """The interval of the figure on many new rows, with probability `confidence`."""
        self._check_fitted()
        figures = self._figure(draw_tables(self.counts_ / self.widening_))
        low, high = np.quantile(figures, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])
        return float(low), float(high)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--tune``, ``--at-least``, ``--cost`` and ``--confidence``."""
        given = dict(options)
        tune, table = given.pop("tune", None), given.pop("cost", None)
        if tune is None:
            raise InvalidInputError(
                f"--rule tuned-threshold needs --tune: cost, or one of {', '.join(BINARY_METRICS)}"
            )
        if tune not in ("cost", *BINARY_METRICS):
            raise InvalidInputError(
                f"--tune must be cost, or one of {', '.join(BINARY_METRICS)}; got {tune!r}"
            )
        if (tune == "cost") != (table is not None):
            raise InvalidInputError(
                "--tune cost needs --cost, a file of costs"
                if table is None
                else f"--cost is for --tune cost, got --tune {tune}; leave one of them out"
            )
        if len(class_names) != 2:
            raise InvalidInputError(
                f"--tune is for two classes, got {len(class_names)}; use --threshold, or --cost without it"
            )
        if "at_least" in given:
            given["at_least"] = read_floor(given["at_least"])
        if table is None:
            return cls(tune, **given)
        return cls(cost=cost_of_classes(table), **given)

    def describe(self) -> str:
        """Describe the rule and its learned threshold in one line."""
        self._check_fitted()
        low, high = self.interval_
        return (
            f"{self!r}: class 1 from a probability of {self.threshold_:.4g} on; {self.figure_name} "
            f"{self.value_:.4g} on new rows ({self.confidence:.0%} interval {low:.4g} to {high:.4g}; "
            f"{self.in_sample_:.4g} on the rows of the fit)"
        )

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the least probability at which the second class is taken."""
        self._check_fitted()
        return from_probability(self.threshold_, class_names)

    def promise_cells(self, outcomes: Outcomes) -> IntArray:
        """Tell the pairs of true class and action apart."""
        return outcomes.labels * 2 + outcomes.decision.action

    @property
    def promise_cell_count(self) -> int:
        """Each pair of two classes."""
        return 4

    def sums_of_cells(self, cells: PromiseCells) -> Floats:
        """Return the weight of each pair of true class and action."""
        return pairs_of(cells)

    def promises_of_sums(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str], draws: int
    ) -> tuple[Promise, ...]:
        """Test whether the figure is worse than at the fit, and the floor.

        The first is a permutation test, and the second uses the binomial law. The test permutes pairs of true
        class and action: of the rows of the fit, decided by thresholds of other rows, and of the new rows.
        """
        table = table_of_pairs(sums, is_weighted)
        figure = Promise(
            self.figure_name,
            self.value_,
            float(self._figure(table)),
            self._change(table, draws),
            # with only one class the figure is undefined
            self._change(_worst(table), draws) if table.sum(axis=1).all() else 1.0,
            f"the {self.figure_name} is {float(self._figure(table)):.4g} on these rows, and "
            f"{self.value_:.4g} was expected",
        )
        if self.at_least is None:
            return (figure,)
        return (figure, self.at_least.promise(table, class_names))

    def second_class_threshold(self, class_names: Sequence[str]) -> float | None:
        """Return the threshold."""
        del class_names
        return self.threshold_

    def costs(self, outcomes: Outcomes) -> Costs | None:
        """Return the cost of the decisions and the expected cost, or None without costs."""
        means = self.mean_costs(outcomes)
        if means is None or self.cost is None:
            return None
        return means._replace(threshold_curve=threshold_costs(self.cost, outcomes))

    def mean_costs(self, outcomes: Outcomes) -> Costs | None:
        """Return the same without the curve."""
        if self.cost is None:
            return None
        table = table_of_pairs(self.promise_sums(outcomes), outcomes.sample_weight is not None)
        return Costs(
            mean=float(self._figure(table)),
            expected=self.value_,
            without_rule=outcomes.mean(self.cost[outcomes.labels, outcomes.most_likely]),
            curve=None,
            of_rows=self.cost[outcomes.labels, outcomes.decision.action],
        )

    def _figure(self, tables: Floats) -> Floats:
        """Return the metric, or the mean cost, of each of many tables (..., 2, 2)."""
        if self.cost is None:
            return binary_figure(self.figure_name, tables)
        return (tables * self.cost).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))

    def _rising(self, tables: Floats) -> Floats:
        """Return the figure, with a sign such that larger is better."""
        return self._figure(tables) if self.cost is None else -self._figure(tables)

    def _allowed(self, tables: Floats) -> Any:
        if self.at_least is None:
            return np.ones(len(tables), np.bool_)
        return self.at_least.allowed(tables, 1 - self.confidence)

    def _change(self, table: Floats, draws: int) -> float:
        """Return the p-value that new rows are worse than those of the fit, by permutation."""
        then = np.rint(self.counts_ / self.widening_).astype(np.int64).ravel()
        now = np.rint(table).astype(np.int64).ravel()

        def worse(tables: Any) -> Floats:
            cells = tables.reshape(-1, 2, 2).astype(np.float64)
            return self._rising((then + now).reshape(2, 2) - cells) - self._rising(cells)

        def draw(generator: np.random.Generator, count: int) -> Floats:
            return worse(generator.multivariate_hypergeometric(then + now, now.sum(), size=count))

        return simulated_p_value(draw, float(worse(now)[0]), draws)

    def _check_settings(self, classes: int) -> None:
        check_class_count(self, 2, classes)

    def _check_fitted(self) -> None:
        if not hasattr(self, "threshold_"):
            raise self._not_fitted()

    def _check_state(self) -> None:
        if self.counts_.min() < 0 or not 0 < self.counts_.sum() < _json.LARGEST_INTEGER:
            raise FileFormatError(
                f"TunedThreshold.counts_ must be counts of rows, got {self.counts_.tolist()}; {_json.ADVICE}"
            )

    def _fit(
        self, probabilities: FloatArray, labels: IntArray, groups: Array | None, weights: Floats | None
    ) -> None:
        scores = probabilities[:, 1]
        rows = np.bincount(labels, minlength=2)
        if not rows.all():
            raise InvalidInputError(
                f"a threshold is chosen on rows of both classes, got {rows[0]} of class 0 and {rows[1]} of "
                "class 1; fit on more rows"
            )
        thresholds = candidates(scores, labels) if self.at_least is None else _GRID
        goal = Goal(self._rising, self._allowed)
        given = Rows(scores, labels, effective_weights(weights, labels.size))
        found = find_threshold(given, thresholds, goal, self.cv, self.random_state)
        if found is None:
            raise self._refusal(rows)
        self.threshold_ = found.threshold
        self.in_sample_ = float(self._figure(found.in_sample))
        self.counts_, self.widening_ = found.cross_fitted, found.widening

    def _refusal(self, rows: IntArray) -> InvalidInputError:
        assert self.at_least is not None
        metric, least = self.at_least
        return InvalidInputError(
            f"a {metric} of at least {least:g} can't be promised with confidence {self.confidence:g} at any "
            f"threshold, by {rows[0]} rows of class 0 and {rows[1]} of class 1; lower the floor, fit on more "
            "rows, or improve the model"
        )

    def _decide(self, probabilities: FloatArray, groups: Array | None) -> Decision:
        return take_positive(probabilities, self.threshold_)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        return export_positive(probabilities, self.threshold_)


def _worst(table: Floats) -> Floats:
    """Return the table in which every row is decided wrongly."""
    rows = table.sum(axis=1)
    return np.array([[0.0, rows[0]], [rows[1], 0.0]])
