"""Metrics that merge: rows are tallied batch by batch, anywhere, and judged together."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import Array, as_numpy
from .._checks import check_batch_weight, check_row_ids, classes_of_columns
from .._checks.class_labels import IN_BATCHES, check_columns
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import FileFormatError, InvalidInputError, UnsupportedTypeError
from ._decided_rows import DecidedRows, DecisionArrays
from ._exact_sums import ExactSums
from ._tally_groups import LARGEST_GROUPS, MISSING, add_to_groups, check_group_count, check_group_names
from ._tally_names import Names, checked_names, decoded_names, joined_names
from ._tally_result import result_of_sums
from ._tally_settings import TallySettings
from ._tally_smooth import add_to_smooth
from ._tally_stops import add_to_stops
from ._tally_sums import OF_ALL, OF_SMOOTH, WEIGHT, add_rows
from ._tally_tests import add_to_tests
from .predictions import FIGURES, Predictions
from .tally_decisions import add_decisions
from .tally_mistakes import WorstRows
from .tally_result import TallyResult


class Tally:
    r"""Judge rows that come in batches, from many files, processes or machines, as if they came at once.

    Parameters
    ----------
    classes : int
        How many classes there are.
    n_bins : int, default 15
        Bins of the calibration error, equal in width.
    probabilities : bool, default False
        Whether `update` is given probabilities.
    tests : bool, default False
        Whether the calibration and each class are tested too, of at most 4,096 classes. That takes more time,
        and memory for up to 600,000 sums, about 170 MB (see Notes).
    smooth : bool, default False
        Whether the smooth calibration error is computed too. That takes some thousand sums more.
    mistakes : int, default 12
        How many of the wrong rows with the largest probability are listed.
    least_confidence, threshold : float, optional
        A confidence, and a probability of the second of two classes, such as those of a rule: rows are
        counted there too (`TallyResult.at_confidence`, `at_threshold`).
    class_names : sequence of str, optional
        One name per class, in the order of the columns. By default those of the columns of the first frame.
        Frames whose columns name other classes, or the same in another order, are then refused.

    Notes
    -----
    Sums are exact: each term is one float64 number, a whole multiple of :math:`2^{-1074}`, and they are added
    as whole numbers. So the result, and its JSON, are the same bits whatever the order of the rows, the size
    of the batches and the order of merging. Memory does not grow with the rows: it is that of the bins, the
    classes, the pairs of classes that occur and the cells of doubt.

    The risk-coverage curve is known at the borders of cells of doubt, where it is exact. Within a cell the
    order of right and wrong rows is not known; `TallyResult.aurc_bounds` are the areas for the best order and
    the worst, which hold the exact area between them. A quantile, too, is known as the cell that holds it,
    and `TallyResult.conformal_threshold` takes the end that keeps the promise.

    Tests are those of `calibration_test` and of `class_calibration_test`, of rows with weights too;
    probabilities of a class are counted in cells of 1/32 of log-odds (1/8 with weights). So that memory stays
    bounded, cells are wider for more than 64 classes, 1/8 (1 with weights), and for more than 1,024, 1/2. The
    variance of a test is then too large by at most 0.03% (2%) and 0.5%, so it rejects a little less often.
    With weights, cells are also counted by weight, four levels a doubling: memory is multiplied by up to
    eight where the largest weight is 16 times the smallest. There are no tests of more classes, because each
    takes memory of its own: `class_calibration_test` looks at one after the other, and needs the rows.
    Differences between groups are tested by permutation tests, as in `softmaxlib.evaluate`: for calibration
    within tenths of the rows by confidence, and for costs in at most 32 levels.

    Each test takes a row for one row of evidence, whatever its weight. Rows of similar weight are taken
    together: within a factor of 1.41 for the calibration, where mean and variance stay those of the rows, and
    for groups; within 1.19 for the classes. There a row weighs the mean of its level, so that the test is one
    of slightly other weights. It is exact for any weights, and so holds its level.

    Some figures are found in another way than by `softmaxlib.evaluate`, which has all rows:

    - The interval of the calibration error is a bootstrap too, but its weights are normal, of mean 1 and
      variance 1. Then the sums of a bin are normal, with covariances that are exact sums over its rows, and
      no row is drawn by itself. The intervals of the Brier score and of the mean cost are those of the normal
      law with the exact error. With weights, all three are stretched as those of `bootstrap_interval`, by
      :math:`\sum w^2 / \max w^2 - 1` degrees of freedom, which are never more. So they hold as often.
    - `smooth_calibration_error` puts probabilities into cells, and the tally has the exact sums of these
      cells. So the figure is the same but for the rounding of sums.
    - Mistakes are ordered by probability, then by loss, classes and name, in place of the order of the rows.
      So the list does not depend on the order, and merges exactly. Rows have no place in it: pass `row_ids`.
    - The promise of costs is tested by the mean surplus of what was paid over what was expected
      (`TallyDecisions.cost_p_value`), not by drawing the true classes of each row.

    An audit of all promises of a policy needs the record of its fit: see `softmaxlib.Policy.tally`.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> one = metrics.Tally(2).update([[2.0, 0.0], [0.0, 3.0]], [0, 1])
    >>> other = metrics.Tally(2).update([[0.0, 1.5]], [0])
    >>> result = one.merge(other).compute()
    >>> result.rows, round(result.accuracy, 4), result.confusion[0, 1]
    (3, 0.6667, 1.0)

    With what a policy decided:

    >>> tally = metrics.Tally(2)
    >>> for logits, labels in batches:  # doctest: +SKIP
    ...     tally.update(logits, labels, decision=policy.decide(logits))
    >>> tally.compute().decisions.coverage  # doctest: +SKIP

    In a training loop, an epoch's calibration error:

    >>> tally = metrics.Tally(classes=10)
    >>> for logits, labels in batches:  # doctest: +SKIP
    ...     tally.update(logits, labels)
    >>> tally.compute().calibration_error  # doctest: +SKIP

    Over the processes of ``torch.distributed``:

    >>> states = [None] * torch.distributed.get_world_size()  # doctest: +SKIP
    >>> torch.distributed.all_gather_object(states, tally.to_dict())  # doctest: +SKIP
    >>> every = map(metrics.Tally.from_dict, states)  # doctest: +SKIP
    >>> result = functools.reduce(metrics.Tally.merge, every).compute()  # doctest: +SKIP
    """

    @checked_keywords
    def __init__(
        self,
        classes: int,
        *,
        n_bins: int = 15,
        probabilities: bool = False,
        tests: bool = False,
        smooth: bool = False,
        mistakes: int = 12,
        least_confidence: float | None = None,
        threshold: float | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self._settings = TallySettings.check(
            classes, n_bins, probabilities, tests, smooth, mistakes, least_confidence, threshold
        )
        self._class_names = checked_names(class_names, self._settings.classes)
        self.reset()

    @classmethod
    def _of(cls, settings: TallySettings) -> Self:
        return cls(**settings.to_dict())

    def __repr__(self) -> str:
        classes, n_bins = self._settings.classes, self._settings.n_bins
        return f"Tally(classes={classes}, n_bins={n_bins}, rows={self.rows:,})"

    def reset(self) -> Self:
        """Forget all rows, but not the names of the classes."""
        self.rows = 0
        self._heaviest = 0.0
        self._sums = {name: ExactSums() for name in self._settings.sizes}
        self._worst = WorstRows(self._settings.mistakes)
        self._groups: dict[str, Tally] = {}
        return self

    @checked_keywords
    @underflow_is_zero
    def update(
        self,
        logits: Array,
        labels: Array,
        sample_weight: Array | None = None,
        groups: Array | None = None,
        *,
        decision: DecisionArrays | None = None,
        cost: Array | None = None,
        cost_without_rule: Array | None = None,
        row_ids: Array | None = None,
    ) -> Self:
        """Add rows.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Logits, or probabilities where the tally was made for these. A batch may be without rows.
        labels : array of int or str, shape (rows,)
            The true class of each row: its number, or its name where the classes have names.
        sample_weight : array, shape (rows,), optional
            How often each row counts: 0, or 1e-100 to 1e100. All rows of a batch may have weight 0.
        groups : array of str or int, shape (rows,), optional
            The group of each row, for results of each group as well. Rows without one are together in
            ``(missing)``.
        decision : Decision, optional
            What a rule or a policy decided on these rows.
        cost : array, shape (rows,), optional
            What the decision of each row cost.
        cost_without_rule : array, shape (rows,), optional
            What each row would have cost without a rule, by its most likely class.
        row_ids : array of str or int, shape (rows,), optional
            What each row is called in the list of mistakes.

        Returns
        -------
        Tally
            Itself.

        Raises
        ------
        InvalidInputError
            For what breaks a rule of `softmaxlib.metrics`. The tally is then as it was.
        UnsupportedTypeError
            For groups that are neither texts nor whole numbers.
        """
        settings, values, class_names = self._settings, as_numpy(logits, "logits"), self._class_names
        if class_names is not None:
            check_columns(logits, class_names, "of the tally")
        if values.ndim == 2 and not len(values):
            return self
        classes = values.shape[1] if values.ndim == 2 else 1
        if max(classes, 2) != settings.classes:  # one number a row is that of the second of two
            raise InvalidInputError(
                f"logits must have the {settings.classes} classes of the tally, got shape {values.shape}; "
                "make another tally for another model"
            )
        weights = check_batch_weight(sample_weight, len(values) if values.ndim else 1)
        counts = weights is None or bool(weights.any())
        given = (logits, labels, weights if counts else None, settings.probabilities)
        seen = Predictions.check(*given, *FIGURES, class_names=class_names, unnamed=IN_BATCHES)
        rows = seen.labels.size
        ids = None if row_ids is None else check_row_ids(row_ids, rows)
        names = None if groups is None else check_group_names(groups, rows)
        made = None
        if decision is not None:
            made = DecidedRows.check(decision, cost, cost_without_rule, rows, settings.classes)
        elif cost is not None or cost_without_rule is not None:
            raise InvalidInputError("cost is what a decision cost, and there is none; pass decision= too")
        if not counts:
            return self
        parts: dict[str, npt.NDArray[np.bool_]] = {}
        if names is not None:
            found = np.unique(names.place if weights is None else names.place[weights > 0])
            parts = {names.names[number]: names.place == number for number in found.tolist()}
            check_group_count(self._groups, parts)
        self._class_names = class_names or classes_of_columns(logits)
        self.add(seen, made, row_ids=ids)
        for name, some in parts.items():
            part = None if made is None else made.part(some)
            self._group(name).add(seen.part(some), part, is_group=True)
        return self

    def _group(self, name: str) -> "Tally":
        if name not in self._groups:
            self._groups[name] = Tally._of(self._settings.of_groups)
        return self._groups[name]

    def add(
        self,
        rows: Predictions,
        made: DecidedRows | None = None,
        *,
        of_classes: bool = True,
        row_ids: npt.NDArray[np.object_] | None = None,
        is_group: bool = False,
    ) -> None:
        """Add checked rows with the classes of the tally, whose mean probabilities may be left out.

        What the tests of differences need is added to the tally of a group alone.
        """
        weights = rows.sample_weight
        if weights is not None and not (weights > 0).all():
            some = weights > 0
            rows, made = rows.part(some), None if made is None else made.part(some)
            row_ids = None if row_ids is None else row_ids[some]
            weights = rows.sample_weight
        if not rows.labels.size:
            return
        settings = self._settings
        self.rows += rows.labels.size
        self._heaviest = max(self._heaviest, 1.0 if weights is None else float(weights.max()))
        add_rows(self._sums, rows, settings.n_bins, of_classes)
        if made is not None:
            add_decisions(self._sums, made, rows.labels, weights)
        if is_group:
            add_to_groups(self._sums, rows, made)
        else:
            add_to_stops(self._sums, rows, settings.stops)
        if settings.tests:
            add_to_tests(self._sums, rows)
        if settings.smooth:
            add_to_smooth(self._sums[OF_SMOOTH], rows)
        self._worst.add(rows, row_ids)

    def merge(self, other: "Tally") -> Self:
        """Add the rows that another tally has seen.

        Raises
        ------
        InvalidInputError
            For a tally with other settings, or of other classes. The tally is then as it was.
        UnsupportedTypeError
            For what is no tally.
        """
        if not isinstance(other, Tally):
            raise UnsupportedTypeError(
                f"merge takes another Tally, got {type(other).__name__}; read what to_dict returned with "
                "Tally.from_dict"
            )
        differing = self._settings.differences(other._settings)
        if differing:
            raise InvalidInputError(
                f"tallies that are merged must have the same settings, got {', '.join(differing)}; make both "
                "with the same arguments"
            )
        class_names = joined_names(self._class_names, other._class_names)
        check_group_count(self._groups, other._groups)
        self._class_names = class_names
        for name, sums in other._sums.items():
            self._sums[name].merge(sums)
        self.rows += other.rows
        self._heaviest = max(self._heaviest, other._heaviest)
        self._worst.merge(other._worst)
        for name, group in other._groups.items():
            self._group(name).merge(group)
        return self

    @underflow_is_zero
    def compute(self) -> TallyResult:
        """Judge all rows so far.

        Raises
        ------
        InvalidInputError
            Before any row with a weight above 0.
        """
        if not self.rows:
            raise InvalidInputError("a Tally has nothing to judge before its first row; call update first")
        return self._result(self._class_names)

    def _result(self, class_names: Names) -> TallyResult:
        found = sorted(self._groups, key=lambda name: (name == MISSING, name))
        groups = {name: self._groups[name] for name in found if self._groups[name].rows}
        return result_of_sums(
            self._sums,
            rows=self.rows,
            heaviest=self._heaviest,
            settings=self._settings,
            class_names=class_names,
            mistakes=self._worst.found(),
            groups={name: (group._result(class_names), group._sums) for name, group in groups.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known, as values that ``json.dump`` takes; every bit is kept."""
        return {
            "class": "Tally",
            "version": 1,
            **self._settings.to_dict(),
            "class_names": None if self._class_names is None else list(self._class_names),
            "rows": self.rows,
            "heaviest": self._heaviest,
            "worst": self._worst.to_list(),
            "sums": {name: sums.to_dict() for name, sums in self._sums.items()},
            "groups": {name: self._groups[name].to_dict() for name in sorted(self._groups)},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make the tally that `to_dict` described; nothing in `content` is trusted.

        Raises
        ------
        FileFormatError
            For anything else.
        """
        return cls._from_dict(content, "tally")

    @classmethod
    def _from_dict(cls, content: Any, place: str) -> Self:
        fields = ("class", "version", *TallySettings.names(), "rows", "heaviest", "worst", "sums", "groups")
        found = _json.check_fields(content, place, fields, ("class_names",))
        if found["class"] != "Tally" or found["version"] != 1:
            raise FileFormatError(f"{place} must be a Tally of version 1; {_json.ADVICE}")
        settings = TallySettings.from_dict(found, place)
        made = cls._of(settings)
        names = found.get("class_names")  # an earlier version wrote none
        made._class_names = decoded_names(names, f"{place}.class_names", settings.classes)
        made._worst = WorstRows.from_list(
            found["worst"], f"{place}.worst", settings.mistakes, settings.classes
        )
        made.rows = _json.decode_integer(found["rows"], f"{place}.rows", lower=0)
        made._heaviest = _json.decode_number(found["heaviest"], f"{place}.heaviest", lower=0)
        sums = _json.check_fields(found["sums"], f"{place}.sums", made._sums)
        made._sums = {
            name: ExactSums.from_dict(sums[name], f"{place}.sums.{name}", size)
            for name, size in settings.sizes.items()
        }
        if not isinstance(found["groups"], dict) or len(found["groups"]) > LARGEST_GROUPS:
            raise FileFormatError(f"{place}.groups must be a JSON object; {_json.ADVICE}")
        for name, group in found["groups"].items():
            made._groups[name] = cls._from_dict(group, f"{place}.groups")
            one = made._groups[name]
            if one._settings != settings.of_groups or one._groups or one._class_names is not None:
                raise FileFormatError(f"{place}.groups must be tallies of the same kind; {_json.ADVICE}")
        if made.rows and not made._sums[OF_ALL].exact(WEIGHT) > 0:
            raise FileFormatError(f"{place} has rows without a weight; {_json.ADVICE}")
        return made
