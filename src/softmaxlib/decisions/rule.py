"""The base class of decision rules: checks, decisions and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy.typing as npt

from .. import _arrays, _checks
from .._arrays import Array
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._graph import Tensor, check_own_export
from .._judging import Criterion, Judged, judge_probabilities
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..activations import softmax
from ..errors import InvalidInputError, NotFittedError
from ._rule_by_sums import RuleBySums
from .decision import Decision, Floats, label_decision
from .exported_decision import ExportedDecision
from .option import Option
from .outcomes import Costs, GroupCoverage, Outcomes


class Rule(RuleBySums):
    """Base class of the rules from probabilities to actions.

    To write a rule, derive from this class, declare its state (``_settings`` for the arguments of the
    constructor, ``_fitted`` for what ``_fit`` sets), and define ``_decide``. If it learns from data, define
    ``_fit`` too. Checks and JSON come from this class. Promises, costs, coverage, columns of a table and the
    name on the command line are methods and attributes to override. Nothing else has to know the class.

    Attributes
    ----------
    command_name : str
        Name of the rule on the command line. Empty if it is not offered there.
    command_options : tuple of Option
        Options of the rule on the command line.

    Examples
    --------
    A rule that sets aside rows with confidence up to one half:

    >>> import numpy as np
    >>> from softmaxlib.decisions import Decision, Rule
    >>> class Majority(Rule):
    ...     def _decide(self, probabilities, groups):
    ...         confidence = probabilities.max(axis=1)
    ...         aside = confidence <= 0.5
    ...         return Decision(np.where(aside, -1, probabilities.argmax(axis=1)), confidence, aside)
    >>> Majority().decide([[0.6, 0.3, 0.1], [0.4, 0.3, 0.3]], probabilities=True).action
    array([ 0, -1])
    """

    command_options: ClassVar[tuple[Option, ...]] = ()

    _kind = "rule"

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        defined = vars(cls)
        if "criterion" not in defined and ("_decide" in defined or "decide" in defined):
            cls.criterion = Rule.criterion  # the one of the base class would decide differently
        if "_fit" in defined and "_fit_all" not in defined:
            cls._fit_all = RuleBySums._fit_all  # the one of the base class would learn differently

    @property
    def learns(self) -> bool:
        """Tell whether `fit` learns from its rows. Otherwise it only checks them."""
        return type(self)._fit is not Rule._fit

    @property
    def action_names(self) -> tuple[str, ...] | None:
        """The names of the rule's own actions, or None if the actions are classes."""
        return None

    def name_actions(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each action. These are the class names if the actions are classes.

        Parameters
        ----------
        class_names : sequence of str, shape (classes,)
            Names of the classes.

        Returns
        -------
        tuple of str
            One name per action, in order.
        """
        return tuple(class_names) if self.action_names is None else self.action_names

    def takes_classes(self, class_names: Sequence[str]) -> bool:
        """Tell whether the actions are the classes, so that an action is right or wrong."""
        return self.name_actions(class_names) == tuple(class_names)

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain in a sentence when a row is decided and how, with the numbers.

        Parameters
        ----------
        class_names : sequence of str, shape (classes,)
            Names of the classes.

        Returns
        -------
        str
            For example ``"A row is handed over below 95% confidence."``. Empty by default.
        """
        del class_names
        return ""

    def least_confidence(self, classes: int) -> float | None:
        """Return the confidence below which rows are set aside, or None for other kinds of rules."""
        del classes
        return None

    def second_class_threshold(self, class_names: Sequence[str]) -> float | None:
        """Return the probability from which the second of two classes is taken, or None for other rules."""
        del class_names
        return None

    @property
    def takes_groups(self) -> bool:
        """Tell whether `fit` and `decide` need the group of each row."""
        return False

    @property
    def known_groups(self) -> tuple[str, ...] | None:
        """The groups that `decide` accepts, for a fitted rule with groups, or None."""
        return None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from options of the command line.

        Parameters
        ----------
        options : mapping
            The values of the given `command_options`, by name.
        class_names : sequence of str, shape (classes,)
            Names of the classes.

        Returns
        -------
        Rule
            The rule, not fitted. By default the options are the arguments of the constructor.

        Raises
        ------
        InvalidInputError
            If options are missing or contradict each other. The message names them as on the command line.
        """
        del class_names
        return cls(**options)

    def costs(self, outcomes: Outcomes) -> Costs | None:
        """Return the cost of the decisions, or None for a rule without costs."""
        del outcomes
        return None

    def mean_costs(self, outcomes: Outcomes) -> Costs | None:
        """Return the same; the curves, and what every row would cost if it were decided, may be None."""
        return self.costs(outcomes)

    def coverage(self, outcomes: Outcomes) -> tuple[GroupCoverage, ...]:
        """Return the coverage of the sets per group that occurs. Empty if the rule promises none.

        Coverage is promised within each of these groups.
        """
        del outcomes
        return ()

    def table_columns(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return the additional columns of the rule for a table of decisions.

        Parameters
        ----------
        decision : Decision
            The decision of some rows, as NumPy arrays.

        Returns
        -------
        dict of str to ndarray
            Columns by name, with one value per row. A boolean array (rows, classes) is written as the list of
            the names of the True classes.
        """
        del decision
        return {}

    def check_groups(self, groups: Array | None) -> None:
        """Reject groups if the rule takes none, and missing groups if it needs them."""
        if self.takes_groups == (groups is not None):
            return
        name = type(self).__name__
        raise InvalidInputError(
            f"{name} needs the group of each row: pass groups=..."
            if self.takes_groups
            else f'groups of rows are for a rule such as PredictionSets(groups="rows"), and this {name} '
            "takes none; leave groups out"
        )

    def check_classes(self, classes: int) -> None:
        """Reject probabilities with a wrong number of classes for the rule."""
        self._check_settings(classes)

    @checked_keywords
    @underflow_is_zero
    def fit(
        self,
        logits: Array,
        labels: Array,
        groups: Array | None = None,
        *,
        sample_weight: Array | None = None,
        probabilities: bool = False,
    ) -> Self:
        """Learn from held-out rows. A rule with nothing to learn only checks the rows.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Calibrated logits of rows that neither the network nor its calibration has seen, or probabilities
            when `probabilities` is true.
        labels : array_like of int or str, shape (rows,)
            The true class of each row.
        groups : array of str or int, shape (rows,), optional
            The group of each row, for a rule that needs groups. Numbers become names by their digits.
        sample_weight : array, shape (rows,), optional
            Weight of each row, for a rule that learns. Rows of weight 0 are ignored. The documentation of the
            rule states what it promises with weights.
        probabilities : bool, default False
            Whether `logits` holds probabilities.

        Returns
        -------
        self
            If the fit fails, the rule does not change.

        Raises
        ------
        InvalidInputError
            If a logit, probability, label, group or weight is invalid, or the rule is for another number of
            classes.
        """
        self.check_groups(groups)
        values = _checks.check_probabilities(logits) if probabilities else _softmax_of(logits)
        self._check_settings(values.shape[1])
        names = _checks.classes_of_columns(logits)
        _checks.warn_of_row_order(logits, labels=labels, groups=groups, sample_weight=sample_weight)
        truth = _checks.check_labels(labels, *values.shape, class_names=names)
        weights = _checks.check_sample_weight(sample_weight, len(values))
        if weights is not None and not weights.all():
            counts = weights > 0
            values, truth, weights = values[counts], truth[counts], weights[counts]
            groups = None if groups is None else _checks.group_array(groups, counts.size)[counts]
        with draft_of(self) as draft:
            draft._fit(values, truth, groups, weights)
        return self

    @checked_keywords
    @underflow_is_zero
    def decide(self, logits: Array, groups: Array | None = None, *, probabilities: bool = False) -> Decision:
        """Decide each row.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Calibrated logits, or calibrated probabilities when `probabilities` is true: each in [0, 1], each
            row with sum 1.
        groups : array of str or int, shape (rows,), optional
            The group of each row, known from `fit`, for a rule that needs groups.
        probabilities : bool, default False
            Whether `logits` holds probabilities.

        Returns
        -------
        Decision
            The decision for a row does not depend on the other rows.

        Raises
        ------
        NotFittedError
            If the rule needs a fit and has none.
        InvalidInputError
            If a logit, probability or group is invalid, or the rule is for another number of classes.
        """
        self._check_fitted()
        self.check_groups(groups)
        if probabilities:
            values = _checks.check_rows(logits, "probabilities", probabilities=True)
        else:
            values = _softmax_of(logits)
        self.check_classes(values.shape[1])
        tolerance = _checks.tolerance_of(logits, values)
        criterion = self.criterion(values.shape[1])
        if criterion is None:
            if _checks.first_wrong(values, tolerance) >= 0:
                _checks.refuse_improbable(values, tolerance)
            decision = self._decide(values, groups)
        else:
            judged = judge_probabilities(values, criterion, tolerance)
            if judged.wrong >= 0:
                _checks.refuse_improbable(values, tolerance)
            decision = decision_of(judged)
        if self.action_names is not None:
            decision = label_decision(decision, self.action_names)
        return in_kind_of(logits, decision)

    def criterion(self, classes: int) -> Criterion | None:
        """Return the rule for the compiled pass, or None if the pass does not support it."""
        del classes
        return None

    def _check_settings(self, classes: int) -> None:
        """Reject a number of classes that does not match the settings."""

    def _check_fitted(self) -> None:
        """Raise an error before `fit`."""

    def _not_fitted(self) -> NotFittedError:
        return NotFittedError(
            f"{type(self).__name__} must be fitted before use; call fit(logits, labels) first"
        )

    def _fit(
        self,
        probabilities: _arrays.FloatArray,
        labels: _arrays.IntArray,
        groups: Array | None,
        weights: Floats | None,
    ) -> None:
        """Learn from checked probabilities, labels and positive weights, with groups as given."""

    def _decide(self, probabilities: _arrays.FloatArray, groups: Array | None) -> Decision:
        """Decide checked probabilities, for a rule without a criterion. Groups are as given."""
        raise NotImplementedError(f"{type(self).__name__} must define _decide")

    def to_graph(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """Export the computation of `decide`, for `Policy.to_onnx` and `softmaxlib.torch`.

        Parameters
        ----------
        probabilities : Tensor
            Calibrated probabilities (rows, classes) in a graph.
        classes : int
            Number of classes.

        Returns
        -------
        ExportedDecision

        Raises
        ------
        NotFittedError
            If the rule needs a fit and has none.
        UnsupportedTypeError
            For a custom rule without ``_export``.
        """
        self._check_fitted()
        self.check_classes(classes)
        check_own_export(self, "decide", "_decide", "criterion")
        return self._export(probabilities, classes)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """Add the steps of `_decide` to a graph."""
        raise NotImplementedError


def _softmax_of(logits: Array) -> _arrays.FloatArray:
    """Check logits and return their probabilities (rows, classes)."""
    values = _checks.check_logits(logits)
    _checks.warn_of_probabilities(values, "pass probabilities=True with them")
    return softmax(values)


def decision_of(judged: Judged) -> Decision:
    """Return the decision from the results of the compiled pass."""
    return Decision(judged.action, judged.confidence, judged.abstained, judged.expected_cost, judged.sets)


def check_class_count(rule: Rule, expected: int, classes: int) -> None:
    """Reject probabilities with another number of classes than the rule's."""
    if classes != expected:
        raise InvalidInputError(
            f"{type(rule).__name__} is for {expected} classes, got probabilities of {classes}"
            f"{' (one number per row is read as a binary model)' if classes == 2 else ''}; "
            "use a rule made for this model"
        )
