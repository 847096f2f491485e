"""MultilabelPolicy: a binary policy for each label of a multi-label model, as one thing."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from .. import _json
from .._arrays import Array, FloatArray
from .._checks import (
    RandomState,
    check_label_table,
    check_label_values,
    check_random_state,
    check_sample_weight,
    check_share,
    known_logits,
    name_labels,
    warn_of_row_order,
)
from .._checks.class_labels import check_class_names, check_columns
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._stored import Stored
from .._text import listed
from .._underflow import underflow_is_zero
from ..calibration import Calibration
from ..decisions import Rule
from ..errors import FileFormatError, InvalidInputError, NotFittedError
from ._multilabel_audit import MultilabelAudit, audit_labels
from ._multilabel_decision import MultilabelDecision, joined, probability_of, stacked
from .judging import Judgement, Wanted
from .policy import Policy
from .probabilities import check_kind, warn_of_certainty
from .saved_policy import SavedPolicy

_ADVICE = "pass probabilities=True with them, to fit as well (command line: --probabilities)"
_WANTED = Wanted(probabilities=True)

Part = TypeVar("Part", Calibration, Rule)


class MultilabelPolicy(SavedPolicy):
    """A calibration and a decision rule for each label of a multi-label model.

    A multi-label model gives one logit per label, and a row may have any number of labels. Each label is a
    separate binary problem: its logit x stands for the row ``[0, x]``. This class fits, keeps and audits one
    `Policy` per label.

    Parameters
    ----------
    calibration : calibration, or mapping of str to calibration
        One for all labels, or one per label by name: ``TemperatureScaling()``, ``VectorScaling()`` (Platt's
        method), ``BetaCalibration()``, ``VennAbers()``, ``IsotonicScaling()``, ``Auto()``.
    rule : decision rule, or mapping of str to decision rule
        One for all labels, or one per label by name: ``BinaryThreshold(0.3)``,
        ``MinimumCost.binary(false_positive=1, false_negative=50)``, ``TunedThreshold("f1_score")``,
        ``MostLikely()``. Its actions are to assign the label, or not.

    Attributes
    ----------
    class_names_ : tuple of str
        The labels, in the order of the columns of the logits.
    policies_ : dict of str to Policy
        The fitted policy of each label, with two classes: ``"not cat"`` and ``"cat"``.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import MultilabelPolicy
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> from softmaxlib.decisions import MinimumCost, TunedThreshold
    >>> rng = np.random.default_rng(0)
    >>> logits = 3 * rng.normal(size=(900, 2))
    >>> labels = rng.random((900, 2)) < 1 / (1 + np.exp(-logits / 2))
    >>> by_cost = MinimumCost.binary(false_positive=1, false_negative=9)
    >>> rules = {"cat": TunedThreshold("f1_score"), "ill": by_cost}
    >>> policy = MultilabelPolicy(TemperatureScaling(), rules)
    >>> policy = policy.fit(logits, labels, class_names=["cat", "ill"])
    >>> policy.decide([[4.0, -2.5], [-4.0, -9.0]]).labels.tolist()
    [('cat', 'ill'), ()]
    """

    class_names_: tuple[str, ...]
    policies_: dict[str, Policy]

    name_in_files = "MultilabelPolicy"
    _purpose = "a multi-label model"
    _part_names = ("policies",)

    def __init__(
        self,
        calibration: Calibration | Mapping[str, Calibration],
        rule: Rule | Mapping[str, Rule],
    ) -> None:
        self.calibration = _copied(Calibration, calibration, "calibration", "TemperatureScaling()")
        self.rule = _copied(Rule, rule, "rule", "BinaryThreshold(0.5)")

    def __repr__(self) -> str:
        return f"MultilabelPolicy({self.calibration}, {self.rule})"

    @checked_keywords
    @underflow_is_zero
    def fit(
        self,
        logits: Array,
        labels: Array,
        *,
        probabilities: bool = False,
        class_names: Sequence[str] | None = None,
        sample_weight: Array | None = None,
        random_state: RandomState = 0,
    ) -> Self:
        """Fit the policy of each label on the rows with a known label.

        Parameters
        ----------
        logits : array (rows, labels)
            One logit per label, for rows that the model was not trained on, or one probability per label if
            `probabilities` is true. An array of any library, or a frame with one column per label.
        labels : array (rows, labels), or sequence of lists of names
            0 or 1 (False or True) in each cell, and NaN or None if unknown. Or the names of the labels of
            each row.
        probabilities : bool, default False
            Whether `logits` holds probabilities.
        class_names : sequence of str, optional
            One per label, in the order of the columns. By default the column names of a frame (without
            ``logit_``), or the sorted names in the lists, or ``"0"``, ``"1"``, ...
        sample_weight : array (rows,), optional
            Weight of each row. See `Policy.fit`.
        random_state : int or numpy.random.Generator, default 0
            Seed of the splits. A generator supplies the seed.

        Returns
        -------
        MultilabelPolicy
            This object.

        Raises
        ------
        InvalidInputError
            If input is invalid, or all known rows of a label are equal (the message names the label). The
            policy then does not change.
        """
        seed = check_random_state(random_state)
        values = check_label_values(logits, probabilities, _ADVICE)
        if probabilities:
            warn_of_certainty(values)
        names = check_class_names(name_labels(logits, labels, class_names, values.shape[1]), values.shape[1])
        check_columns(logits, names, "of class_names")
        warn_of_row_order(logits, labels=labels, sample_weight=sample_weight)
        table = check_label_table(labels, values.shape, names)
        weights = check_sample_weight(sample_weight, len(values))
        calibrations = _of_labels(self.calibration, names, "calibration")
        rules = _of_labels(self.rule, names, "rule")
        policies: dict[str, Policy] = {}
        for column, name in enumerate(names):
            known = table.known[:, column]
            truth = table.truth[known, column]
            of_known = None if weights is None else weights[known]
            counted = truth if of_known is None else truth[of_known > 0]
            if np.unique(counted).size < 2:
                alike = "no known row" if not counted.size else "every known row" if counted[0] else "no row"
                raise InvalidInputError(
                    f"each label must be there in some rows and not in others, and {alike} has {name!r}; "
                    "give more rows, or leave the label out"
                )
            one = Policy(calibrations[column], rules[column])
            try:
                with known_logits():
                    one.fit(
                        values[known, column],
                        truth.astype(np.int64),
                        probabilities=probabilities,
                        class_names=(f"not {name}", name),
                        sample_weight=of_known,
                        random_state=seed,
                    )
            except InvalidInputError as error:
                raise InvalidInputError(f"label {name!r}: {error}") from None
            policies[name] = one
        _check_rules(policies)
        with draft_of(self) as draft:
            draft.class_names_, draft.policies_ = names, policies
        return self

    @checked_keywords
    @underflow_is_zero
    def predict_proba(self, logits: Array, *, probabilities: bool = False) -> FloatArray:
        """Return the calibrated probability of each label, (rows, labels). Rows need not sum to 1."""
        judged = self._judge(logits, probabilities)
        return in_kind_of(logits, stacked([probability_of(one) for one in judged]))

    @checked_keywords
    @underflow_is_zero
    def decide(self, logits: Array, *, probabilities: bool = False) -> MultilabelDecision:
        """Decide each label of each row.

        Parameters
        ----------
        logits : array (rows, labels)
            One logit per label, or one probability per label if `probabilities` is true. Columns of a frame
            with other names or in another order than in `fit` are rejected.
        probabilities : bool, default False
            Whether `logits` holds probabilities, as in the fit.

        Returns
        -------
        MultilabelDecision
            Arrays with the type and device of the input (NumPy for a frame).
        """
        decision = joined(self._judge(logits, probabilities), self.class_names_)
        return in_kind_of(logits, decision)

    def _judge(self, logits: Array, probabilities: bool) -> list[Judgement]:
        values = self._values(logits, probabilities)
        with known_logits():
            return [
                self.policies_[name].judge(values[:, column], probabilities=probabilities, wanted=_WANTED)
                for column, name in enumerate(self.class_names_)
            ]

    def _values(self, logits: Array, probabilities: bool) -> FloatArray:
        """Check logits, or probabilities, of the labels of the fit."""
        check_kind(self.input, probabilities)
        check_columns(logits, self.class_names_, "that the policy was fitted on")
        values = check_label_values(logits, probabilities, _ADVICE)
        self._check_width(logits, values, f"{self.input} must have the {len(self.class_names_)} labels")
        return values

    @checked_keywords
    @underflow_is_zero
    def audit(
        self,
        logits: Array,
        labels: Array,
        *,
        probabilities: bool = False,
        sample_weight: Array | None = None,
        significance: float = 0.05,
    ) -> MultilabelAudit:
        """Test on new rows whether the promises for each label still hold.

        Parameters
        ----------
        logits : array (rows, labels)
            One logit per label of new rows, or one probability per label if `probabilities` is true.
        labels : array (rows, labels), or sequence of lists of names
            As in `fit`. Missing cells are ignored.
        probabilities : bool, default False
            Whether `logits` holds probabilities, as in the fit.
        sample_weight : array (rows,), optional
            Weight of each row. See `Policy.audit`.
        significance : float, default 0.05
            Family-wise false-alarm rate, over all promises of all labels together (Holm's method).

        Returns
        -------
        MultilabelAudit
            One `Audit` per label, and ``holds``.

        Notes
        -----
        The tests of each label are those of `Policy.audit`. The labels of a row may depend on each other:
        Holm's method holds in any case.
        """
        significance = check_share(significance, "significance", "0.05 is usual")
        values = self._values(logits, probabilities)
        warn_of_row_order(logits, labels=labels, sample_weight=sample_weight)
        table = check_label_table(labels, values.shape, self.class_names_)
        weights = check_sample_weight(sample_weight, len(values))
        with known_logits():
            return audit_labels(self.policies_, values, table, weights, significance)

    def _parts(self) -> dict[str, Any]:
        return {"policies": [policy.to_dict() for policy in self.policies_.values()]}

    @classmethod
    def _of_parts(cls, names: list[str], content: dict[str, Any]) -> Self:
        parts = content["policies"]
        if not isinstance(parts, list) or not parts or len(parts) != len(names):
            raise FileFormatError(f"policies must be a list with one for each of class_names; {_json.ADVICE}")
        checked = check_class_names(names, len(parts))
        policies = {name: Policy.from_dict(part) for name, part in zip(checked, parts, strict=True)}
        for name, one in policies.items():
            if one.class_names_ != (f"not {name}", name) or one.input != policies[checked[0]].input:
                raise FileFormatError(
                    f"the policy of {name!r} must be of the classes 'not {name}' and {name!r}, and of the "
                    f"same input as the others; {_json.ADVICE}"
                )
        _check_rules(policies)
        policy = cls(
            {name: one.calibration for name, one in policies.items()},
            {name: one.rule for name, one in policies.items()},
        )
        policy.class_names_, policy.policies_ = checked, policies
        return policy

    @property
    def input(self) -> str:
        """The numbers that the policy was fitted on and decides: ``"logits"`` or ``"probabilities"``."""
        self._check_fitted()
        return self.policies_[self.class_names_[0]].input

    def _check_fitted(self) -> None:
        if not hasattr(self, "policies_"):
            raise NotFittedError(
                "this MultilabelPolicy is not fitted; call fit(logits, labels), or "
                "MultilabelPolicy.load(path)"
            )


def _copied(kind: type[Stored], given: Any, name: str, example: str) -> Any:
    if isinstance(given, Mapping):
        return {str(label): kind.copy_of(one, f"{name}[{label!r}]", example) for label, one in given.items()}
    return kind.copy_of(given, name, example)


def _of_labels(given: Part | Mapping[str, Part], names: Sequence[str], what: str) -> list[Part]:
    """Return the part of each label, in their order."""
    if not isinstance(given, Mapping):
        return [given] * len(names)
    if set(given) != set(names):
        raise InvalidInputError(
            f"{what} must have one for each label, {listed(names)}; got those of {listed(list(given))}"
        )
    return [given[name] for name in names]


def _check_rules(policies: Mapping[str, Policy]) -> None:
    """Reject rules with other actions than to assign the label or not."""
    for name, policy in policies.items():
        sample = [0.5] if policy.input == "probabilities" else [0.0]
        decision = policy.judge(sample, probabilities=policy.input == "probabilities").decision
        if decision.sets is not None or not policy.rule.takes_classes(policy.class_names_):
            raise InvalidInputError(
                f"the rule of a label must take it, leave it, or abstain; {policy.rule} of {name!r} does "
                "something else; use BinaryThreshold, TunedThreshold, MinimumCost.binary or MostLikely"
            )
