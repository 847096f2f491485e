"""Decide only confident rows, with a guaranteed bound on the error rate."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from .._all_rows import AllRows, Merged, RowBlock
from .._arrays import Array, FloatArray, IntArray
from .._checks import check_share
from .._graph import Tensor
from .._judging import Criterion, Kind
from .._stored import Integer, Number, OrNone
from ..errors import FileFormatError, InvalidInputError
from ..metrics.shares import ShareSums, at_least, share_of_sums
from ._fallback_tests import first_index, last_rejected, rows_needed
from ._promise_cells import PromiseCells
from ._rounding import lowered
from ._row_blocks import highest
from .decision import NO_ACTION, Floats
from .exported_decision import ExportedDecision
from .option import CONFIDENCE, Option
from .outcomes import Outcomes, Promise
from .rule import Rule, check_class_count
from .words import below_confidence, percent

# fixed before any data: every 1/32 of log-odds from 1 - 2e-16 down to 3e-4, and last everything
_GRID = lowered(np.append(1 / (1 + np.exp(-np.arange(36.0, -8.0, -1 / 32))), 0.0))
_MOST = 1 - 2.0**-22  # float32 hardly tells higher probabilities apart

_SHARE = Number(lower=0, upper=1)
_ROUNDING = 1e-9  # of sums of weights


class Accepted(NamedTuple):
    """The rows that reach each threshold of the grid, and the mistakes among them.

    Weighted rows are counted as rows of equal weight, rounded down, and mistakes are rounded up.
    """

    reached: npt.NDArray[np.int64]  # rows, whatever their weight
    planned: npt.NDArray[np.int64]  # effective number of rows, by the weights alone; ascending
    rows: npt.NDArray[np.int64]
    mistakes: npt.NDArray[np.int64]
    coverage: Floats | None  # by weight


class SelectiveRisk(Rule):
    r"""Decide only rows that are confident enough, so that the error rate stays below `risk`.

    `fit` finds the lowest threshold t on the highest probability for which

    .. math:: P(\text{wrong} \mid \max_k p_k \ge t) \le \text{risk}

    can be promised. Over fits on new samples, the promise is broken with probability at most ``1 -
    confidence``. Rows below t are set aside. If the data can't support any threshold, `fit` raises an error.

    Parameters
    ----------
    risk : float
        Largest error rate among decided rows, in (0, 1).
    confidence : float, default 0.95
        Confidence of the promise, in (0, 1).

    Attributes
    ----------
    threshold_ : float
        A row is decided if its highest probability is at least this.
    bound_ : float
        Upper confidence bound of the error rate at the threshold (Clopper-Pearson), at most `risk`.
    coverage_ : float
        Share of the rows of `fit` that are decided, weighted if there are weights.
    accepted_, mistakes_, rows_ : int
        Of the `rows_` rows of `fit`, the number that is decided, and the number decided wrongly. With
        weights, `accepted_` is the effective number of rows, and `mistakes_` the corresponding share of it.
    class_count_ : int, or None
        Number of classes. None for a rule from a file that does not say it.

    Raises
    ------
    InvalidInputError
        If `risk` or `confidence` is out of range, or in `fit`, if no threshold can be promised.

    Notes
    -----
    A row at exactly the threshold is decided.

    The thresholds of a fixed grid are tested from strict to lax by the exact binomial law, and the laxest one
    that passes is used. All tests together break the promise with probability at most ``1 - confidence``, for
    any number of tests (the fallback procedure): a few thresholds, at each doubling of the rows, get a share
    of that probability, and a test that passes gives its share to the next. These thresholds depend only on
    the probabilities, not on the labels. Nothing is assumed about the model: more confident rows may be wrong
    more often.

    With weights, the risk is the weighted error rate. It is tested with the effective number of rows: p (1 -
    p) / variance, where p is the weighted error rate, or (sum w)^2 / sum w^2 if no row is wrong. Rows are
    rounded down and mistakes up. This is close, but not exact: a new row with a much larger weight can exceed
    the promise. If the weights are a known shift, thin the rows to equal weight (keep a row with probability
    w / max w) and fit without weights. This keeps the promise exactly, with fewer rows. A weight of 2 is not
    the same as the row twice.

    For comparison, the threshold whose observed error rate is at most `risk` exceeds the risk about half of
    the time.

    References
    ----------
    Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then test", Annals of Applied Statistics 19 (2025);
    Geifman, El-Yaniv, "Selective classification for deep neural networks" (NeurIPS 2017); Wiens, "A fixed
    sequence Bonferroni procedure for testing multiple endpoints", Pharmaceutical Statistics 2 (2003); Wiens,
    Dmitrienko, "The fallback procedure for evaluating a single family of hypotheses", Journal of
    Biopharmaceutical Statistics 15 (2005); Clopper, Pearson, Biometrika 26 (1934); Korn, Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from
    survey data", Survey Methodology 24 (1998), and Kish, "Survey sampling" (Wiley 1965), for weights; Park,
    Dobriban, Lee, Bastani, "PAC prediction sets under covariate shift" (ICLR 2022), for thinning.

    Examples
    --------
    A model for which one in a hundred confident rows is wrong, and every second unconfident one:

    >>> import numpy as np
    >>> from softmaxlib.decisions import SelectiveRisk
    >>> probabilities = np.repeat([[0.99, 0.01], [0.6, 0.4]], 1000, axis=0)
    >>> labels = np.array(([0] * 99 + [1]) * 10 + [0, 1] * 500)
    >>> rule = SelectiveRisk(risk=0.02).fit(probabilities, labels, probabilities=True)
    >>> rule.coverage_, round(rule.bound_, 4)
    (0.5, 0.0169)
    >>> rule.decide([[0.995, 0.005], [0.7, 0.3]], probabilities=True).action
    array([ 0, -1])
    """

    command_name = "selective-risk"
    command_options = (
        Option(
            "risk",
            "number",
            "Bounded risk: the largest share of wrong decisions. Doubtful rows are set aside.",
            is_needed=True,
        ),
        CONFIDENCE,
    )

    _settings = {"risk": _SHARE, "confidence": _SHARE}  # noqa: RUF012
    _fitted = {  # noqa: RUF012
        "threshold_": _SHARE,
        "accepted_": Integer(lower=1),
        "mistakes_": Integer(),
        "rows_": Integer(lower=1),
        "weighted_coverage_": OrNone(_SHARE),
        "class_count_": OrNone(Integer(lower=1)),
    }
    _lacking = {"weighted_coverage_": None, "class_count_": None}  # noqa: RUF012

    threshold_: float
    accepted_: int
    mistakes_: int
    rows_: int
    weighted_coverage_: float | None
    class_count_: int | None

    def __init__(self, risk: float, confidence: float = 0.95) -> None:
        self.risk = check_share(risk, "risk", "0.05 means 5 percent")
        self.confidence = check_share(confidence, "confidence", "0.95 means 95 percent")

    def __repr__(self) -> str:
        return f"SelectiveRisk(risk={self.risk}, confidence={self.confidence})"

    @property
    def bound_(self) -> float:
        """The upper confidence bound of the error rate at the threshold."""
        self._check_fitted()
        return float(upper_bound(self.mistakes_, self.accepted_, self.confidence))

    @property
    def coverage_(self) -> float:
        """The share of the rows of `fit` that are decided."""
        self._check_fitted()
        return self.accepted_ / self.rows_ if self.weighted_coverage_ is None else self.weighted_coverage_

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--risk`` and ``--confidence``."""
        if "risk" not in options:
            given = "--confidence" if "confidence" in options else "--rule selective-risk"
            raise InvalidInputError(f"{given} needs --risk, the largest share of wrong decisions to allow")
        return cls(**options)

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the confidence below which rows are set aside, and why."""
        del class_names
        self._check_fitted()
        return (
            f"{below_confidence(self.threshold_)} So at most {percent(self.risk)} of the decisions are "
            f"wrong: that holds for {percent(self.confidence)} of all fits."
        )

    def least_confidence(self, classes: int) -> float | None:
        """Return the fitted threshold."""
        del classes
        self._check_fitted()
        return self.threshold_

    def check_classes(self, classes: int) -> None:
        """Reject probabilities with another number of classes than in `fit`."""
        if self.class_count_ is not None:
            check_class_count(self, self.class_count_, classes)

    def promise_cells(self, outcomes: Outcomes) -> IntArray:
        """Tell right decisions, wrong ones (1) and rows that are set aside apart."""
        wrong = outcomes.decision.action != outcomes.labels
        return np.where(outcomes.decision.abstained, -1, wrong.astype(np.int64))

    @property
    def promise_cell_count(self) -> int:
        """Right decisions, and wrong ones."""
        return 2

    def sums_of_cells(self, cells: PromiseCells) -> Floats:
        """Return the sums of the decided rows, and of the wrong ones among them."""
        columns = cells.weight, cells.square, cells.rows
        pairs = ((column.sum(), column[cells.cell == 1].sum()) for column in columns)
        return np.array([one for pair in pairs for one in pair], np.float64)

    def promises_of_sums(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str], draws: int
    ) -> tuple[Promise, ...]:
        """Test the error rate of the decided rows by the binomial law."""
        of_wrong = ShareSums(*sums.tolist())
        share, counted = of_wrong.share(is_weighted), " by their weights" if is_weighted else ""
        wrong, rows = int(of_wrong.hit_rows), int(of_wrong.rows)
        found = f"{wrong} of the {rows} decided rows are wrong ({share.value:.2%}{counted})"
        risk = Promise(
            "risk",
            self.risk,
            float(share.value),
            at_least(share, self.risk),
            float(self.risk**share.rows),
            f"{found}, and at most {self.risk:.2%} are promised",
        )
        return (risk,)

    def _check_fitted(self) -> None:
        if not hasattr(self, "threshold_"):
            raise self._not_fitted()

    def _check_state(self) -> None:
        _json.decode_integer(self.accepted_, "SelectiveRisk.accepted_", lower=1, upper=self.rows_)
        _json.decode_integer(self.mistakes_, "SelectiveRisk.mistakes_", lower=0, upper=self.accepted_)
        if self.bound_ > self.risk + 1e-9:
            raise FileFormatError(
                f"SelectiveRisk promises {self.risk:g}, but {self.mistakes_} mistakes of {self.accepted_} "
                f"rows bound the risk only by {self.bound_:.4g}; {_json.ADVICE}"
            )

    def _fit(
        self, probabilities: FloatArray, labels: IntArray, groups: Array | None, weights: Floats | None
    ) -> None:
        cells = _cells(RowBlock(probabilities, labels, weights))
        accepted = _accepted(cells.added, weights is not None)
        self._keep(accepted, probabilities.shape[1], labels.size, weights is not None)

    def _fit_all(self, rows: AllRows) -> None:
        accepted = _accepted(rows.merged(_cells).added, rows.is_weighted)
        self._keep(accepted, rows.classes, int(accepted.reached[-1]), rows.is_weighted)

    def _keep(self, accepted: Accepted, classes: int, rows: int, is_weighted: bool) -> None:
        """Choose the threshold."""
        level = 1 - self.confidence
        needed, given = rows_needed(self.risk, level), int(accepted.planned[-1])
        if given < needed:
            counted = f" ({rows} rows, by their weights)" if is_weighted else ""
            raise InvalidInputError(
                f"a risk of {self.risk:g} can't be promised with confidence {self.confidence:g}: even "
                f"without a mistake that takes {needed} rows, got {given}{counted}; fit on more rows or "
                "raise the risk"
            )
        last = last_rejected(accepted.rows, accepted.mistakes, self.risk, level, accepted.planned)
        if last is None:
            raise self._refusal(accepted)
        # the highest of the thresholds that accept the same rows: nothing is decided where no row was seen
        chosen = int(np.searchsorted(accepted.reached, accepted.reached[last]))
        self.threshold_ = float(_GRID[chosen])
        self.accepted_, self.mistakes_ = int(accepted.rows[chosen]), int(accepted.mistakes[chosen])
        self.rows_, self.class_count_ = rows, classes
        self.weighted_coverage_ = None if accepted.coverage is None else float(accepted.coverage[chosen])

    def _refusal(self, accepted: Accepted) -> InvalidInputError:
        first = first_index(accepted.planned, self.risk, 1 - self.confidence)
        rows, mistakes = int(accepted.rows[first]), int(accepted.mistakes[first])
        bound = float(upper_bound(mistakes, rows, self.confidence))
        return InvalidInputError(
            f"a risk of {self.risk:g} can't be promised with confidence {self.confidence:g}: of the {rows} "
            f"surest rows {mistakes} are wrong, so that the risk may be {bound:.4g}; raise the risk, fit on "
            "more rows, or improve the model"
        )

    def criterion(self, classes: int) -> Criterion:
        """Use the most likely class if its probability reaches the threshold."""
        return Criterion(Kind.confidence, np.array([self.threshold_]))

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        del classes
        threshold = probabilities.graph.fitted("threshold", self.threshold_)
        is_sure = probabilities.row_max().reaches(threshold)
        return ExportedDecision(is_sure.where(probabilities.row_argmax(), NO_ACTION))


def upper_bound(mistakes: npt.ArrayLike, rows: npt.ArrayLike, confidence: float) -> Floats:
    """Return the Clopper-Pearson upper bound of an error rate, one-sided."""
    from scipy.special import betaincinv

    mistakes, rows = np.asarray(mistakes, np.float64), np.asarray(rows, np.float64)
    correct = rows - mistakes
    return np.where(correct > 0, betaincinv(mistakes + 1, np.maximum(correct, 1), confidence), 1.0)


def _cells(block: RowBlock) -> Merged:
    """Count and weigh rows and mistakes by the first threshold of the descending grid that they reach."""
    confidence = highest(block.values)
    if block.values.dtype == np.float32:
        confidence = np.minimum(confidence, _MOST)
    cell = np.searchsorted(-_GRID, -confidence, side="left")
    wrong = np.argmax(block.values, axis=1) != block.labels
    weights = block.weights
    of_rows = (None,) if weights is None else (None, weights, weights**2)
    sums = []
    for one in of_rows:
        sums.append(np.bincount(cell, one, _GRID.size))
        sums.append(np.bincount(cell[wrong], None if one is None else one[wrong], _GRID.size))
    return Merged(np.concatenate(sums).astype(np.float64))


def _accepted(cells: Floats, is_weighted: bool) -> Accepted:
    sums = np.cumsum(cells.reshape(-1, _GRID.size), axis=1)
    reached, mistakes = sums[:2].astype(np.int64)
    if not is_weighted:
        return Accepted(reached, reached, reached, mistakes, None)
    total, hits, squares, hit_squares = sums[2:]
    share = share_of_sums(total, hits, squares, hit_squares, reached)
    alike = share_of_sums(total, np.zeros_like(total), squares, np.zeros_like(total), reached)
    return Accepted(
        reached,
        np.maximum.accumulate(_whole(alike.rows)),
        _whole(share.rows),
        np.ceil(share.value * share.rows - _ROUNDING).astype(np.int64),
        total / total[-1],
    )


def _whole(rows: Floats) -> npt.NDArray[np.int64]:
    """Round down to a whole number of rows, but for an error of rounding."""
    return np.floor(rows + _ROUNDING).astype(np.int64)
