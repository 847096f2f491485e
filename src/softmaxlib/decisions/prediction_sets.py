"""Conformal prediction sets: the classes that can't be ruled out, with guaranteed coverage."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .._all_rows import AllRows
from .._arrays import Array, FloatArray, IntArray
from .._checks import (
    RandomState,
    check_flag,
    check_integer,
    check_random_state,
    check_share,
    name_groups,
)
from .._graph import Tensor
from .._json import LARGEST_INTEGER
from .._judging import Criterion, Kind
from .._renamed import checked_keywords
from .._stored import Array as StoredArray
from .._stored import Boolean, Choice, Integer, Number, OrNone, Texts
from ..errors import InvalidInputError
from ._conformal_scores import SCORES, check_penalty, check_score, nonconformity, row_uniform
from ._coverage_groups import CoverageGroups
from ._coverage_promise import (
    CoverageSums,
    coverage_cells,
    coverage_promise,
    coverage_sums,
    group_coverage,
)
from ._exported_sets import export_sets
from ._groups import (
    GroupsField,
    check_groups,
    check_saved_groups,
    class_groups,
    warn_of_small_groups,
)
from ._promise_cells import PromiseCells
from ._rounding import rounding
from ._row_blocks import highest, row_blocks
from ._thresholds_of_all import thresholds_of_all
from .conformal_threshold import conformal_threshold
from .decision import NO_ACTION, Decision, Floats
from .exported_decision import ExportedDecision
from .option import Option
from .outcomes import GroupCoverage, Outcomes, Promise
from .rule import Rule, check_class_count
from .words import percent

_MOST_RANKED = 256  # classes that the compiled pass puts in order


class PredictionSets(Rule):
    r"""Give each row the set of classes that can't be ruled out.

    For rows exchangeable with those of `fit`, the truth is in the set with probability at least ``1 -
    alpha``, even if the probabilities are bad. Better probabilities give smaller sets. A set contains the
    classes whose score is at most the threshold, the :math:`\lceil (n + 1)(1 - \alpha) \rceil`-th smallest
    score of the true classes of the n rows of `fit`. A row is decided if its set contains exactly one class,
    and otherwise set aside. An empty set means that the row is unlike those of `fit`.

    Parameters
    ----------
    score : {"lac", "aps", "raps", "saps"}, default "lac"
        With p the probabilities in descending order, r the rank of the class (from 1), and u the share of its
        own step that counts:

        - "lac": :math:`1 - p_r`. The smallest sets on average, but uneven: hard rows are covered less often
          than easy ones.
        - "aps": :math:`p_1 + \dots + p_{r-1} + u p_r`. Larger sets that adapt to the difficulty of the row.
        - "raps": "aps" plus ``penalty * max(r - penalty_rank, 0)``, against long tails of many classes.
        - "saps": ``p_1 + (r - 2 + u) * penalty``, and ``u * p_1`` for the first: it uses ranks, and only the
          highest probability.
    alpha : float, default 0.1
        Rate at which the truth may be missing, in (0, 1).
    randomized : bool, default False
        For all scores except "lac": u is a random number per row. This makes the coverage exact even for a
        model that is right more often than ``1 - alpha``. The number is derived from the bits of the row and
        `random_state`, so a row always gets the same set.
    allow_empty : bool, default True
        Whether a set may be empty. False adds the most likely class to an empty set.
    groups : None, "class", "rows" or array of int, shape (classes,), default None
        The groups within which the coverage holds. None means all rows together, and "class" the rows of each
        true class. An array assigns each class to a group of classes. "rows" means groups of rows, such as
        wards or branches, whose names are passed to `fit` and `decide`. More groups need more rows: at least
        ``1 / alpha - 1`` in each.
    include_last : bool, default True
        For all scores except "lac", if not randomized. True means u = 0: a class is in the set if the classes
        before it do not reach the threshold. The most likely class always is. False means u = 1: a class is
        in the set if it stays within the threshold itself. The most confident rows then get empty sets, so
        use this only for comparison with other libraries.
    penalty : float, default 0.01
        For "raps" and "saps": the amount that each further rank adds.
    penalty_rank : int, default 5
        For "raps": the last rank without penalty.
    random_state : int or numpy.random.Generator, default 0
        Seed for ``randomized=True``. A generator gives the seed, once.

    Attributes
    ----------
    thresholds_ : ndarray of float64, shape (groups,)
        A class is in the set if its score is at most this. Infinite if the group is too small to rule out any
        class. It is higher than the score of a row by what float32 rounds, at most about 1e-6.
    group_sizes_ : ndarray of int64, shape (groups,)
        Number of rows of `fit` in each group. With weights, in units of the largest weight.
    group_names_ : tuple of str, or None
        With ``groups="rows"``: the groups, in the order of the attributes above.
    class_count_ : int
        Number of classes.

    Raises
    ------
    InvalidInputError
        If a parameter or an input breaks its rule.

    Warns
    -----
    SoftmaxlibWarning
        If a group has fewer than ``1 / alpha - 1`` rows: its sets contain every class.

    Notes
    -----
    Over fits on new samples the coverage of all rows follows, with ``randomized=True`` or distinct scores
    exactly, a Beta law with parameters k and n + 1 - k, where k is the rank of the threshold: with 1,000 rows
    and alpha 0.1 it lies between 0.881 and 0.918 in 95 of 100 fits.

    A score that misses the threshold by the rounding of float32 reaches it. So many rows with the same
    probabilities are all covered or none, and a rule that was fitted on float32 keeps its promise on the same
    numbers in float64, and the other way round.

    With weights the threshold is a weighted quantile, for a new row as heavy as the heaviest of `fit`. In
    general nothing exact is then promised. The exception is a known shift, where weights are proportional to
    how much more likely a row is in use than in the data of `fit`. There the truth is in the set with
    probability at least ``1 - alpha``, for new rows no heavier than the heaviest (weighted conformal
    prediction). A few heavy rows make sets larger. A weight of 2 is not the same as the row twice: equal
    weights have no effect, because a repeated row proves nothing about new ones.

    The same sets as MAPIE's ``SplitConformalClassifier`` for "lac", and, if the random share that it draws
    for each calibration row is held fixed, for "aps" with ``include_last_label=True`` and for both "aps" and
    "raps" with ``include_last_label=False`` (here ``include_last=False, allow_empty=False``). MAPIE treats
    differences up to 1e-8 as ties, and chooses the penalty on separate rows. By default it uses random shares
    in the calibration and none in the sets, which are then larger than coverage needs.

    References
    ----------
    Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 114
    (2019), for "lac"; Romano, Sesia, Candès, "Classification with valid and adaptive coverage" (NeurIPS
    2020), for "aps"; Angelopoulos, Bates, Jordan, Malik, "Uncertainty sets for image classifiers using
    conformal prediction" (ICLR 2021), for "raps"; Huang et al., "Conformal prediction for deep classifier
    via label ranking" (ICML 2024), for "saps"; Vovk, "Conditional validity of inductive conformal
    predictors" (ACML 2012), for groups and the Beta law; Tibshirani, Barber, Candès, Ramdas, "Conformal
    prediction under covariate shift" (NeurIPS 2019), for weights.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.decisions import PredictionSets
    >>> generator = np.random.default_rng(0)
    >>> probabilities = generator.dirichlet([1, 1, 1], 1000)
    >>> labels = (generator.random((1000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    >>> rule = PredictionSets(alpha=0.1).fit(probabilities, labels, probabilities=True)
    >>> decision = rule.decide([[0.9, 0.06, 0.04], [0.5, 0.45, 0.05]], probabilities=True)
    >>> decision.sets
    array([[ True, False, False],
           [ True,  True, False]])
    >>> decision.action
    array([ 0, -1])
    """

    command_name = "prediction-sets"
    command_options = (
        Option(
            "alpha",
            "number",
            "Prediction sets: the share of rows whose set may miss the true class.",
        ),
        Option("conformal_score", "text", "With --alpha: lac (default), aps, raps or saps."),
        Option(
            "groups",
            "groups",
            "With --alpha: the column with the group of each row, such as a ward "
            "or a branch. The promise then holds within each group. decide, evaluate "
            "and audit need the column too.",
        ),
        Option("per_class", "flag", "With --alpha: the promise holds within each true class."),
    )

    _settings = {  # noqa: RUF012
        "score": Choice(SCORES),
        "alpha": Number(),
        "randomized": Boolean(),
        "allow_empty": Boolean(),
        "groups": GroupsField(),
        "include_last": Boolean(),
        "penalty": Number(),
        "penalty_rank": Integer(),
        "random_state": Integer(),
    }
    _fitted = {  # noqa: RUF012
        "thresholds_": StoredArray(("any",), finite=False),
        "group_sizes_": StoredArray(("any",), kind="i"),
        "group_names_": OrNone(Texts()),
        "class_count_": Integer(lower=2),
    }

    thresholds_: Floats
    group_sizes_: npt.NDArray[np.int64]
    group_names_: tuple[str, ...] | None
    class_count_: int

    @checked_keywords
    def __init__(
        self,
        score: str = "lac",
        alpha: float = 0.1,
        *,
        randomized: bool = False,
        allow_empty: bool = True,
        groups: str | Array | None = None,
        include_last: bool = True,
        penalty: float = 0.01,
        penalty_rank: int = 5,
        random_state: RandomState = 0,
    ) -> None:
        self.randomized = check_flag(randomized, "randomized")
        self.score = check_score(score, self.randomized)
        self.alpha = check_share(alpha, "alpha", "0.1 means 90 percent coverage")
        self.allow_empty = check_flag(allow_empty, "allow_empty")
        self.groups = check_groups(groups)
        self.include_last = check_flag(include_last, "include_last")
        self.penalty = check_penalty(penalty)
        self.penalty_rank = check_integer(penalty_rank, "penalty_rank", lower=0, upper=LARGEST_INTEGER)
        self.random_state = check_random_state(random_state)

    def __repr__(self) -> str:
        return f"PredictionSets({self.score!r}, alpha={self.alpha})"

    @property
    def takes_groups(self) -> bool:
        """Tell whether `fit` and `decide` need the group of each row: with ``groups="rows"``."""
        return isinstance(self.groups, str) and self.groups == "rows"

    @property
    def known_groups(self) -> tuple[str, ...] | None:
        """The groups that `decide` accepts, with ``groups="rows"`` after `fit`, or None."""
        self._check_fitted()
        return self.group_names_

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--alpha``, ``--conformal-score``, ``--groups`` and ``--per-class``."""
        if "alpha" not in options:
            spelled = [option.spelled for option in cls.command_options if option.name in options]
            given = spelled[0] if spelled else "--rule prediction-sets"
            raise InvalidInputError(
                f"{given} needs --alpha, the largest share of sets that may miss the true class"
            )
        if "groups" in options and "per_class" in options:
            raise InvalidInputError(
                "--groups and --per-class are two ways to group the rows; give one of them"
            )
        groups = "rows" if "groups" in options else "class" if "per_class" in options else None
        return cls(options.get("conformal_score", "lac"), options["alpha"], groups=groups)

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the coverage of the sets, and the groups for which it is promised."""
        del class_names
        within = "" if self.groups is None else ", within each class"
        within = ", within each group" if self.takes_groups else within
        return (
            f"Each row gets a set of classes that holds the true one in {percent(1 - self.alpha)} of the rows"
            f"{within}; a row whose set is not one class is handed over."
        )

    def promise_cells(self, outcomes: Outcomes) -> IntArray:
        """Tell rows apart by their group, by whether the set holds the true class, and by its size."""
        self._check_fitted()
        self.check_groups(outcomes.groups)
        return coverage_cells(outcomes, self._within().of_rows(outcomes.labels, outcomes.groups))

    @property
    def promise_cell_count(self) -> int:
        """Sets of each size that hold the true class or not, in each group."""
        return self.thresholds_.size * 2 * (self.class_count_ + 1)

    def sums_of_cells(self, cells: PromiseCells) -> Floats:
        """Return the sums over the rows of each group."""
        return coverage_sums(cells, self.thresholds_.size, self.class_count_).ravel()

    def promises_of_sums(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str], draws: int
    ) -> tuple[Promise, ...]:
        """Test the coverage by its exact law, in the worst group."""
        return (coverage_promise(self.alpha, self._coverage(sums, is_weighted, class_names)),)

    def coverage(self, outcomes: Outcomes) -> tuple[GroupCoverage, ...]:
        """Return the coverage of the sets within each group that occurs."""
        is_weighted = outcomes.sample_weight is not None
        return self._coverage(self.promise_sums(outcomes), is_weighted, outcomes.class_names)

    def _coverage(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str]
    ) -> tuple[GroupCoverage, ...]:
        of_groups = CoverageSums(*sums.reshape(6, -1))
        return group_coverage(of_groups, self._within().describe(class_names), self.group_sizes_, is_weighted)

    def _within(self) -> CoverageGroups:
        return CoverageGroups.of(self.groups, self.class_count_, self.group_names_)

    def table_columns(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return the sets, as column ``set``."""
        assert decision.sets is not None
        return {"set": decision.sets}

    def check_classes(self, classes: int) -> None:
        """Reject probabilities with another number of classes than in `fit`."""
        check_class_count(self, self.class_count_, classes)

    def _check_settings(self, classes: int) -> None:
        class_groups(self.groups, classes)

    def _fit(
        self, probabilities: FloatArray, labels: IntArray, groups: Array | None, weights: Floats | None
    ) -> None:
        if groups is None:
            names, group_of_class = None, class_groups(self.groups, probabilities.shape[1])
            count, group = int(group_of_class.max()) + 1, group_of_class[labels]
        else:
            names, group = name_groups(groups, labels.size)
            count = len(names)
        scores = self._true_scores(probabilities, labels)
        found = []
        for number in range(count):
            rows = group == number
            of_rows = None if weights is None else weights[rows]
            found.append(conformal_threshold(scores[rows], self.alpha, of_rows))
        thresholds = np.array([one.threshold for one in found])
        self._keep(probabilities.shape[1], names, thresholds, np.array([one.rows for one in found], np.int64))

    def _fit_all(self, rows: AllRows) -> None:
        names = rows.group_names if self.takes_groups else None
        of_classes = class_groups(self.groups, rows.classes)
        found = thresholds_of_all(rows, self.alpha, self._true_scores, of_classes, names)
        self._keep(rows.classes, names, *found)

    def _keep(
        self, classes: int, names: tuple[str, ...] | None, thresholds: Floats, sizes: npt.NDArray[np.int64]
    ) -> None:
        """Set the fitted state."""
        self.class_count_, self.group_names_ = classes, names
        self.thresholds_, self.group_sizes_ = thresholds, sizes
        warn_of_small_groups(self.alpha, thresholds, sizes, None if self.groups is None else names or ())

    def _true_scores(self, probabilities: FloatArray, labels: IntArray) -> Floats:
        """Return the score of the true class of each row, with what other arithmetic may add by rounding.

        So a threshold counts a row as reaching it that misses it by rounding, in float32 as in float64.
        """
        scores = np.empty(labels.size)
        for rows in row_blocks(probabilities):
            block, own = probabilities[rows], labels[rows, None]
            of_true = np.take_along_axis(self._nonconformity(block), own, axis=1)[:, 0]
            scores[rows] = of_true + self._rounding(block, of_true, own)
        return scores

    def _rounding(self, probabilities: FloatArray, scores: Floats, labels: IntArray) -> Floats:
        """Return how far rounding may move the scores of the true classes."""
        if self.score == "lac":
            return rounding(1 - scores, probabilities.dtype)
        if self.score == "saps":
            return rounding(highest(probabilities), probabilities.dtype)
        if self.score == "raps":  # the penalty is exact
            scores = np.take_along_axis(self._nonconformity(probabilities, 0.0), labels, axis=1)[:, 0]
        return rounding(scores, probabilities.dtype, are_sums=True)

    def criterion(self, classes: int) -> Criterion | None:
        """Use the compiled pass, if there is one threshold per class and nothing random."""
        if self.takes_groups or self.randomized or self.score == "saps":
            return None
        threshold = self.thresholds_[class_groups(self.groups, classes)]
        if self.score == "lac":
            return Criterion(Kind.score_sets, threshold, allow_empty=self.allow_empty)
        if classes > _MOST_RANKED:
            return None
        return Criterion(
            Kind.ordered_sets,
            threshold,
            own_counts=not self.include_last,
            allow_empty=self.allow_empty,
            penalty=self.penalty if self.score == "raps" else 0.0,
            penalty_rank=self.penalty_rank,
        )

    def _decide(self, probabilities: FloatArray, groups: Array | None) -> Decision:
        sets = np.empty(probabilities.shape, bool)
        limits = self._within().thresholds(self.thresholds_, len(sets), groups)
        thresholds = np.broadcast_to(limits, sets.shape)
        for rows in row_blocks(probabilities):
            sets[rows] = self._nonconformity(probabilities[rows]) <= thresholds[rows]
        most_likely = np.argmax(probabilities, axis=1)
        if not self.allow_empty:
            empty = np.flatnonzero(~sets.any(axis=1))
            sets[empty, most_likely[empty]] = True
        single = np.count_nonzero(sets, axis=1) == 1
        action = np.where(single, np.argmax(sets, axis=1), NO_ACTION)
        return Decision(action, highest(probabilities), ~single, sets=sets)

    def _check_fitted(self) -> None:
        if not hasattr(self, "thresholds_"):
            raise self._not_fitted()

    def _check_state(self) -> None:
        check_saved_groups(
            self.groups, self.class_count_, self.thresholds_, self.group_sizes_, self.group_names_
        )

    def _nonconformity(self, probabilities: FloatArray, penalty: float | None = None) -> Floats:
        block = probabilities.astype(np.float64)
        fixed = np.full((1, 1), 0.0 if self.include_last else 1.0)
        uniform = row_uniform(block, self.random_state) if self.randomized else fixed
        penalty = self.penalty if penalty is None else penalty
        return nonconformity(self.score, block, uniform, penalty, self.penalty_rank)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        return export_sets(self, probabilities, classes)
