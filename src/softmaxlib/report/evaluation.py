"""evaluate: all that a person needs to decide whether to trust a model, as one frozen value."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from .._arrays import Array, FloatArray, IntArray, as_numpy, foreign_namespace
from .._checks import (
    RandomState,
    RowGroups,
    check_labels,
    check_logits,
    check_random_state,
    check_sample_weight,
    classes_of_columns,
    known_logits,
    name_classes,
    name_groups,
    warn_of_probabilities,
)
from .._clock import time_now
from .._files import written_whole
from .._renamed import checked_keywords
from ..activations import softmax
from ..decisions import Outcomes
from ..errors import InvalidInputError
from ..metrics.predictions import Predictions
from ..metrics.shares import effective_rows
from ..policy import (
    Audit,
    FitRecord,
    Policy,
    Wanted,
    check_class_names,
    check_columns,
    check_kind,
    logits_of_probabilities,
)
from ..policy.audit import audit_rows
from ..policy.record import Weights
from .class_calibration import ClassCalibration, judge_classes
from .confusions import Confusions
from .counts import Counts
from .decided import Decided, judge_decisions
from .groups import MISSING, GroupComparison, compare_groups
from .judgement import Judgement, judge
from .verdict import Verdict, give_verdict

_MISTAKES = 12
_WANTED = Wanted(calibrated=True, probabilities=True, most_likely=True)


@dataclass(frozen=True)
class ClassFigures:
    """How one class fared.

    Attributes
    ----------
    name : str
        The class.
    rows, predicted : float
        Rows of which it is the truth, and rows for which it is the most likely class; the sums of their
        weights, where they have any.
    recall : float
        Share of its rows that were recognised; NaN where it has none.
    precision : float
        Share of the rows called by its name that are of it; NaN where there are none.
    mean_probability, frequency : float
        Its mean probability over all rows, and how often it was the truth: equal when calibrated.
    """

    name: str
    rows: float
    predicted: float
    recall: float
    precision: float
    mean_probability: float
    frequency: float


@dataclass(frozen=True)
class Mistake:
    """A wrong row the model was sure of: its place (counted from 0), both classes and their probabilities."""

    row: int
    truth: str
    predicted: str
    probability: float
    truth_probability: float


@dataclass(frozen=True)
class Evaluation:
    """The findings of :func:`evaluate`; write them with :meth:`to_html` or :meth:`to_json`.

    Attributes
    ----------
    rows : int
        Rows judged.
    effective_rows : float or None
        How many rows of equal weight say as much (Kish); None where rows have no weights.
    class_names : tuple of str
        In the order of the logits' columns.
    before : Judgement
        Of the logits as they came.
    after : Judgement or None
        Of the logits as the policy calibrates them; None without a policy.
    confusions : Confusions
        How many rows of each class have each as their most likely one, after calibration if there is one.
    classes : tuple of ClassFigures
        One a class.
    class_calibration : tuple of ClassCalibration
        Whether the probability of each class can be believed, after calibration if there is one.
    mistakes : tuple of Mistake
        The wrong rows with the largest probability, the surest first.
    decided : Decided or None
        What the policy's rule made of the rows.
    groups : GroupComparison or None
        The figures of each group of rows, after calibration if there is one, and what differs; None without
        groups.
    audit : Audit or None
        Whether the policy's promises hold on these rows.
    record : FitRecord or None
        When and on what the policy was fitted.
    calibration, rule : str or None
        The policy's two parts, described.
    evaluated_at : str
        Time of the evaluation, ISO 8601 in UTC.
    verdict : Verdict
        The same in words.
    sampled_rows : int or None
        How many rows, drawn uniformly, the intervals, tests, curves and decisions come from, where the rows
        were too many to hold them; None where they come from all of them.
    """

    rows: int
    effective_rows: float | None
    class_names: tuple[str, ...]
    before: Judgement
    after: Judgement | None
    confusions: Confusions
    classes: tuple[ClassFigures, ...]
    class_calibration: tuple[ClassCalibration, ...]
    mistakes: tuple[Mistake, ...]
    decided: Decided | None
    groups: GroupComparison | None
    audit: Audit | None
    record: FitRecord | None
    calibration: str | None
    rule: str | None
    evaluated_at: str
    verdict: Verdict
    sampled_rows: int | None = None

    @property
    def final(self) -> Judgement:
        """The judgement that counts: after calibration where there is one."""
        return self.after or self.before

    @property
    def confusion(self) -> Counts:
        """The confusion matrix (classes, classes): entry [k, j] is rows of class k whose most likely is j."""
        return self.confusions.matrix(len(self.class_names))

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Can this model be trusted?") -> None:
        """Write one self-contained HTML file: verdict, figures, tables; nothing is loaded from elsewhere.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        title : str
            The heading.
        """
        from .page import render

        content = render(self, title)
        with written_whole(path) as file:
            file.write(content.encode())

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write every figure as JSON; what is not a number (the recall of a class without rows) is null."""
        content = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        with written_whole(path) as file:
            file.write(content.encode() + b"\n")

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as plain values that ``json.dump`` takes; what is not a number is None.

        Of the confusion matrix, only the cells that have rows are there.
        """
        return _as_json(self)


@checked_keywords
def evaluate(
    logits: Array,
    labels: Array,
    /,
    *,
    policy: Policy | None = None,
    class_names: Sequence[str] | None = None,
    probabilities: bool = False,
    groups: Array | None = None,
    sample_weight: Array | None = None,
    random_state: RandomState = 0,
) -> Evaluation:
    """Judge a model on labelled rows, and a policy with it.

    Parameters
    ----------
    logits : array (rows, classes)
        Logits of rows that neither the model nor the policy was fitted on; probabilities when
        `probabilities` is true.
    labels : array (rows,)
        The true class of each row: its number, or its name.
    policy : Policy, optional
        Judged too: calibration before and after, decisions, promises.
    class_names : sequence of str, optional
        One per class, in the order of the columns. By default the policy's, or those of a frame's columns,
        else those of text labels, sorted, else ``"0"``, ``"1"``, ...
    probabilities : bool, default False
        Whether the first argument holds probabilities.
    groups : array of str or int (rows,), optional
        The group of each row: texts, whole numbers, categories, a nullable column. The same figures are given
        for each group, and whether they differ; rows without a group are one more, ``(missing)``. A policy
        whose rule asks for groups needs them.
    sample_weight : array (rows,), optional
        How often each row counts, in every figure, curve and cost. Intervals and tests take a row for one row
        of evidence whatever its weight (see Notes).
    random_state : int or numpy.random.Generator, default 0
        Seed of the simulations behind intervals and tests. A generator gives the seed.

    Returns
    -------
    Evaluation

    Raises
    ------
    InvalidInputError
        For input that breaks a rule, a policy for other classes or for the other kind of number (logits,
        probabilities), or a frame whose columns are called after other classes.

    Notes
    -----
    With weights, a figure is that of each row repeated as often as its weight says. Intervals and tests are
    not: ten times the weights prove no more. They are those of as many rows of equal weight as say as much
    (`metrics.reliability_curve` and `Policy.audit` say how many), or draw each row once with its weight
    (`metrics.calibration_test`, `metrics.class_calibration_test`, `metrics.bootstrap_interval`).

    Whether groups differ is told by permutation tests, one for each figure, their p-values adjusted together
    by Holm's method: rows are dealt out anew among the groups. For calibration that is done among rows of
    about the same confidence, so that a group of harder rows is not called badly calibrated for that.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import evaluate
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=900)
    >>> logits = 4 * np.eye(3)[labels] + 3 * rng.normal(size=(900, 3))
    >>> evaluation = evaluate(logits, labels, class_names=["cat", "dog", "bird"])
    >>> evaluation.verdict.headline
    'The model is too sure of itself'
    """
    seed = check_random_state(random_state)
    if policy is not None:
        check_kind(policy.input, probabilities)
    values = logits_of_probabilities(logits) if probabilities else check_logits(logits)
    warn_of_probabilities(values, "pass probabilities=True with them (command line: --probabilities)")
    classes = values.shape[1]
    host = logits if foreign_namespace(logits) is None else as_numpy(logits, "logits")
    if class_names is None:
        class_names = policy.class_names_ if policy is not None else None
        class_names = class_names or classes_of_columns(logits) or name_classes(labels, classes)
    names = check_class_names(class_names, classes)
    if policy is not None and policy.class_names_ != names:
        raise InvalidInputError("class_names must be those of the policy, in its order; leave them out")
    check_columns(logits, names, "of class_names" if policy is None else "that the policy was fitted on")
    truth = check_labels(labels, len(values), classes, class_names=names)
    weights = check_sample_weight(sample_weight, len(values))
    named = None if groups is None else name_groups(groups, len(values), MISSING)
    of_rule = groups if policy is None or policy.rule.takes_groups else None
    with known_logits():
        return _evaluate(host, values, truth, weights, names, policy, of_rule, named, seed)


def _evaluate(
    host: Array,
    values: FloatArray,
    truth: IntArray,
    weights: Weights | None,
    names: tuple[str, ...],
    policy: Policy | None,
    of_rule: Array | None,
    named: RowGroups | None,
    seed: int,
) -> Evaluation:
    final = Predictions.of_logits(values, truth, weights)
    before, after, decided, audit, outcomes = judge(final, seed), None, None, None, None
    if policy is not None:
        judged = policy.judge(
            host, probabilities=policy.input == "probabilities", groups=of_rule, wanted=_WANTED
        )
        assert judged.calibrated is not None
        assert judged.probabilities is not None
        assert judged.most_likely is not None
        final = Predictions.of_logits(judged.calibrated, truth, weights)
        after = judge(final, seed)
        outcomes = Outcomes(
            judged.probabilities, judged.decision, truth, judged.most_likely, names, of_rule, weights
        )
        decided = judge_decisions(policy.rule, outcomes)
        audit = audit_rows(policy.rule, policy.record_, final, outcomes)
    class_calibration = judge_classes(final, names)
    confusions = Confusions.of(truth, final.figure("most_likely"), weights, len(names))
    rule = None if policy is None else policy.rule
    groups = None if named is None else compare_groups(final, named, rule, outcomes, seed)
    of_equal_weight = None if weights is None else effective_rows(weights)
    return Evaluation(
        rows=len(truth),
        effective_rows=of_equal_weight,
        class_names=names,
        before=before,
        after=after,
        confusions=confusions,
        classes=class_figures(names, confusions, [one.stated for one in class_calibration]),
        class_calibration=class_calibration,
        mistakes=_worst_mistakes(names, final),
        decided=decided,
        groups=groups,
        audit=audit,
        record=None if policy is None else policy.record_,
        calibration=None if policy is None else policy.calibration.describe(),
        rule=None if policy is None else policy.rule.describe(),
        evaluated_at=time_now(),
        verdict=give_verdict(before, after, class_calibration, decided, audit, groups, of_equal_weight),
    )


def class_figures(
    names: Sequence[str], confusions: Confusions, mean: Sequence[float]
) -> tuple[ClassFigures, ...]:
    """How each class fared, by the confusions and its mean probability."""
    rows, predicted, right = confusions.sums(len(names))
    total = rows.sum()
    with np.errstate(invalid="ignore"):  # 0 / 0: a class that never occurs has no recall
        recall, precision = right / rows, right / predicted
    return tuple(
        ClassFigures(
            name=name,
            rows=rows[k].item(),
            predicted=predicted[k].item(),
            recall=float(recall[k]),
            precision=float(precision[k]),
            mean_probability=mean[k],
            frequency=float(rows[k] / total),
        )
        for k, name in enumerate(names)
    )


def _worst_mistakes(names: tuple[str, ...], predictions: Predictions) -> tuple[Mistake, ...]:
    """The wrong rows with the largest probability; rows of the same, once rounded, in their order."""
    truth, predicted = predictions.labels, predictions.figure("most_likely")
    is_wrong, weights = ~predictions.figure("correct"), predictions.sample_weight
    wrong = np.flatnonzero(is_wrong if weights is None else is_wrong & (weights > 0))
    if wrong.size > _MISTAKES:  # those that may be among the first: rounding moves none by so much
        confidence = predictions.figure("confidence")[wrong]
        wrong = wrong[confidence >= np.partition(confidence, -_MISTAKES)[-_MISTAKES] - 1e-6]
    probabilities = softmax(predictions.values[wrong]).astype(np.float64)
    surest = np.argsort(-probabilities.max(axis=1, initial=0), kind="stable")[:_MISTAKES].tolist()
    return tuple(
        Mistake(
            row=int(wrong[index]),
            truth=names[truth[wrong[index]]],
            predicted=names[predicted[wrong[index]]],
            probability=float(probabilities[index].max()),
            truth_probability=float(probabilities[index, truth[wrong[index]]]),
        )
        for index in surest
    )


def _as_json(value: Any) -> Any:
    """Dataclasses, tuples and arrays as JSON values; NaN and infinity as null."""
    if is_dataclass(value):
        return {field.name: _as_json(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return {name: _as_json(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return _as_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_as_json(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
