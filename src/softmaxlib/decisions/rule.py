"""What every decision rule shares: checks, the decision it gives, and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .. import _arrays, _checks
from .._all_rows import AllRows
from .._arrays import Array
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._graph import Tensor, check_own_export
from .._judging import Criterion, Judged, judge_probabilities
from .._renamed import checked_keywords
from .._stored import Stored
from ..activations import softmax
from ..errors import InvalidInputError, NotFittedError
from .decision import Decision, Floats, label_decision
from .exported_decision import ExportedDecision
from .option import Option
from .outcomes import Costs, GroupCoverage, Outcomes, Promise


class Rule(Stored):
    """From probabilities to actions.

    To write one, derive from this class, declare what is kept (``_settings``, the arguments of its
    constructor, and ``_fitted``, what ``_fit`` sets) and define ``_decide``; where it learns from data,
    ``_fit`` too. Checks and JSON come from here. What a rule promises, costs and covers, what it writes into
    a table, and what it is called on the command line are methods and attributes that it overrides: nothing
    else has to know the class.

    Attributes
    ----------
    command_name : str
        What the rule is called on the command line; empty for one that is not offered there.
    command_options : tuple of Option
        What it can be told there.

    Examples
    --------
    A rule that sets aside what is less sure than a coin:

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
            cls.criterion = Rule.criterion  # that of the class it derives from would decide otherwise
        if "_fit" in defined and "_fit_all" not in defined:
            cls._fit_all = Rule._fit_all  # that of the class it derives from would learn otherwise

    @property
    def learns(self) -> bool:
        """Tell whether `fit` learns from the rows it is given; else it only checks them."""
        return type(self)._fit is not Rule._fit

    @property
    def learns_by_sums(self) -> bool:
        """Tell whether the rule can be fitted by `fit_all`, on more rows than memory holds."""
        return type(self)._fit_all is not Rule._fit_all

    @property
    def action_names(self) -> tuple[str, ...] | None:
        """Return what the rule calls actions of its own; None where it takes classes."""
        return None

    def name_actions(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return what each action is called: the classes' names, for a rule that takes classes.

        Parameters
        ----------
        class_names : sequence of str, shape (classes,)
            What the classes are called.

        Returns
        -------
        tuple of str
            One name an action, in the order of their numbers.
        """
        return tuple(class_names) if self.action_names is None else self.action_names

    def takes_classes(self, class_names: Sequence[str]) -> bool:
        """Tell whether the actions are the classes, so that one is right or wrong."""
        return self.name_actions(class_names) == tuple(class_names)

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain in a sentence when a row is decided and how, with the numbers.

        Parameters
        ----------
        class_names : sequence of str, shape (classes,)
            What the classes are called.

        Returns
        -------
        str
            Such as ``"A row is handed over below 95% confidence."``; empty by default.
        """
        del class_names
        return ""

    def least_confidence(self, classes: int) -> float | None:
        """Return the confidence below which rows are handed over; None where that is not the rule."""
        del classes
        return None

    @property
    def takes_groups(self) -> bool:
        """Tell whether `fit` and `decide` want the group of each row."""
        return False

    @property
    def known_groups(self) -> tuple[str, ...] | None:
        """The groups that `decide` takes, for a fitted rule that takes groups; else None."""
        return None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Make the rule of what was said on the command line.

        Parameters
        ----------
        options : mapping
            The value of each of `command_options` that was given, by its name.
        class_names : sequence of str, shape (classes,)
            What the classes are called.

        Returns
        -------
        Rule
            Not fitted. By default the options are the arguments of the constructor.

        Raises
        ------
        InvalidInputError
            When options are missing or contradict each other; the message spells them as they were written.
        """
        del class_names
        return cls(**options)

    def promises(self, outcomes: Outcomes, *, calibration_rows: int, draws: int) -> tuple[Promise, ...]:
        """Test what the rule promises on rows whose true classes are known.

        Parameters
        ----------
        outcomes : Outcomes
            New rows, their decision and their true classes.
        calibration_rows : int
            How many rows the calibration was fitted on: how well the probabilities themselves are known.
        draws : int
            The most draws of a simulation.

        Returns
        -------
        tuple of Promise
            One each; none by default.
        """
        del calibration_rows
        is_weighted = outcomes.sample_weight is not None
        return self.promises_of_sums(self.promise_sums(outcomes), is_weighted, outcomes.class_names, draws)

    @property
    def promises_by_sums(self) -> bool:
        """Tell whether the promises are tested by sums over the rows, which need not be held."""
        return type(self).promises is Rule.promises

    def promise_sums(self, outcomes: Outcomes) -> Floats:
        """Return the sums over rows that the promises are tested by; those of parts of the rows are added."""
        del outcomes
        return np.zeros(0)

    def promises_of_sums(
        self, sums: Floats, is_weighted: bool, class_names: Sequence[str], draws: int
    ) -> tuple[Promise, ...]:
        """Test the promises by what `promise_sums` gave of all rows."""
        del sums, is_weighted, class_names, draws
        return ()

    def costs(self, outcomes: Outcomes) -> Costs | None:
        """Return what the decisions cost; None for a rule without costs."""
        del outcomes
        return None

    def coverage(self, outcomes: Outcomes) -> tuple[GroupCoverage, ...]:
        """Return how often sets hold the true class, per group that occurs; empty if nothing is promised.

        Coverage is promised within each of these groups.
        """
        del outcomes
        return ()

    def table_columns(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return what the rule writes into a table of decisions, beside what every rule does.

        Parameters
        ----------
        decision : Decision
            Of some rows, as NumPy arrays.

        Returns
        -------
        dict of str to ndarray
            The columns by their names: one value a row; or a boolean array (rows, classes), written as the
            list of the classes that are True, by their names.
        """
        del decision
        return {}

    def check_groups(self, groups: Array | None) -> None:
        """Refuse groups of rows where the rule takes none, and their absence where it does."""
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
        """Refuse probabilities of another number of classes than the rule is for."""
        self._check_settings(classes)

    @checked_keywords
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
        labels : array of int, shape (rows,)
            The true class of each row.
        groups : array of str or int, shape (rows,), optional
            The group of each row, for a rule that takes groups. A number is the name that it is written as.
        sample_weight : array, shape (rows,), optional
            How often each row counts, for a rule that learns; a row of weight 0 is left out. What a promise
            is worth under weights, the rule says.
        probabilities : bool, default False
            Whether `logits` holds probabilities.

        Returns
        -------
        self
            As it was, where the fit fails.

        Raises
        ------
        InvalidInputError
            When a logit, a probability, a label, a group or a weight breaks its rule, or the rule is for
            another number of classes.
        """
        self.check_groups(groups)
        values = _checks.check_probabilities(logits) if probabilities else _softmax_of(logits)
        self._check_settings(values.shape[1])
        names = _checks.classes_of_columns(logits)
        truth = _checks.check_labels(labels, *values.shape, class_names=names)
        weights = _checks.check_sample_weight(sample_weight, len(values))
        if weights is not None and not weights.all():
            counts = weights > 0
            values, truth, weights = values[counts], truth[counts], weights[counts]
            groups = None if groups is None else _checks.group_array(groups, counts.size)[counts]
        with draft_of(self) as draft:
            draft._fit(values, truth, groups, weights)
        return self

    def fit_all(self, rows: AllRows) -> Self:
        """Learn the same as `fit` from rows in passes, if the rule can.

        Parameters
        ----------
        rows : AllRows
            Of calibrated probabilities.
        """
        self._check_settings(rows.classes)
        with draft_of(self) as draft:
            draft._fit_all(rows)
        return self

    @checked_keywords
    def decide(self, logits: Array, groups: Array | None = None, *, probabilities: bool = False) -> Decision:
        """Decide each row.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Calibrated logits, or calibrated probabilities when `probabilities` is true: each in [0, 1], each
            row with sum 1.
        groups : array of str or int, shape (rows,), optional
            The group of each row, one of those of `fit`, for a rule that takes groups.
        probabilities : bool, default False
            Whether `logits` holds probabilities.

        Returns
        -------
        Decision
            The decision for a row does not depend on the other rows.

        Raises
        ------
        NotFittedError
            When the rule must be fitted and was not.
        InvalidInputError
            When a logit, a probability or a group breaks its rule, or the rule is for another number of
            classes.
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
        """Return what the rule is to the compiled pass; None for one that it does not know."""
        del classes
        return None

    def _check_settings(self, classes: int) -> None:
        """Refuse another number of classes than the settings are for."""

    def _check_fitted(self) -> None:
        """Refuse to go on before `fit`."""

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

    def _fit_all(self, rows: AllRows) -> None:
        """Learn as `_fit`, from sums over the rows."""
        raise NotImplementedError

    def _decide(self, probabilities: _arrays.FloatArray, groups: Array | None) -> Decision:
        """Decide checked probabilities; groups as they were given. For a rule without a criterion."""
        raise NotImplementedError(f"{type(self).__name__} must define _decide")

    def to_graph(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """Write down what `decide` computes, for `Policy.to_onnx` and `softmaxlib.torch`.

        Parameters
        ----------
        probabilities : Tensor
            Calibrated probabilities (rows, classes) in a graph.
        classes : int
            How many classes there are.

        Returns
        -------
        ExportedDecision

        Raises
        ------
        NotFittedError
            When the rule must be fitted and was not.
        UnsupportedTypeError
            For a rule of one's own without ``_export``.
        """
        self._check_fitted()
        self.check_classes(classes)
        check_own_export(self, "decide", "_decide", "criterion")
        return self._export(probabilities, classes)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """Add the steps of `_decide` to a graph."""
        raise NotImplementedError


def _softmax_of(logits: Array) -> _arrays.FloatArray:
    """Return the probabilities (rows, classes) of logits, checked."""
    values = _checks.check_logits(logits)
    _checks.warn_of_probabilities(values, "pass probabilities=True with them")
    return softmax(values)


def decision_of(judged: Judged) -> Decision:
    """Return the decision from the results of the compiled pass."""
    return Decision(judged.action, judged.confidence, judged.abstained, judged.expected_cost, judged.sets)


def check_class_count(rule: Rule, expected: int, classes: int) -> None:
    """Refuse probabilities of another number of classes than the rule's."""
    if classes != expected:
        raise InvalidInputError(
            f"{type(rule).__name__} is for {expected} classes, got probabilities of {classes}; "
            "use a rule made for this model"
        )
