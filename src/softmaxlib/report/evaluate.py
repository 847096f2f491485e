"""evaluate: judge a model on labelled rows, and a policy with it."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, IntArray, as_numpy, foreign_namespace
from .._checks import (
    RandomState,
    RowGroups,
    check_labels,
    check_logits,
    check_random_state,
    check_row_ids,
    check_sample_weight,
    classes_of_columns,
    known_logits,
    name_classes,
    name_groups,
    warn_of_probabilities,
    warn_of_row_order,
)
from .._clock import time_now
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..decisions import Outcomes
from ..errors import InvalidInputError
from ..metrics.predictions import Predictions
from ..metrics.shares import effective_rows
from ..policy import (
    Policy,
    Wanted,
    check_class_names,
    check_columns,
    check_policy,
    logits_of_probabilities,
)
from ..policy.audit import audit_rows
from ..policy.figures import Reliability, Weights
from .class_calibration import judge_classes
from .class_figures import class_figures
from .confusions import Confusions
from .decided import judge_decisions
from .evaluation import Evaluation
from .groups import MISSING, compare_groups
from .judgement import brier_intervals, judge
from .mistakes import worst_mistakes
from .provenance import Provenance, provenance_of
from .row_results import row_results
from .verdict import give_verdict

_WANTED = Wanted(calibrated=True, probabilities=True, most_likely=True, cheapest=True)


@checked_keywords
@underflow_is_zero
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
    row_ids: Array | None = None,
    model: str | os.PathLike[str] | None = None,
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
        The group of each row: texts, whole numbers, categories, a nullable column. Each group gets
        the same figures, and a test says whether the groups differ. Rows without a group form the group
        ``(missing)``. A policy whose rule asks for groups needs them.
    sample_weight : array (rows,), optional
        How often each row counts, in every figure, curve and cost. Intervals and tests take a row for one row
        of evidence whatever its weight (see Notes).
    row_ids : array of str or int (rows,), optional
        What each row is called: shown in the list of mistakes, and used by :func:`compare` to find the same
        rows in two evaluations.
    model : str or path, optional
        The model, for the record: the path of its file, whose SHA-256 is taken, or its name.
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
    With weights, each figure is what it would be if each row were repeated as often as its weight says.
    Intervals and tests are not: weights ten times as large are no more evidence. They either use the
    effective number of rows (`metrics.reliability_curve` and `Policy.audit` say how it is computed), or
    draw each row once, with its weight (`metrics.calibration_test`, `metrics.class_calibration_test`,
    `metrics.bootstrap_interval`).

    Differences between groups are tested by permutation tests, one for each figure, in which rows are
    shuffled among the groups. The p-values are adjusted together by Holm's method. For calibration, rows
    are shuffled only among rows of about the same confidence, so that a group of harder rows is not called
    badly calibrated because it is harder.

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
        check_policy(policy, probabilities)
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
    warn_of_row_order(logits, labels=labels, groups=groups, sample_weight=sample_weight, row_ids=row_ids)
    truth = check_labels(labels, len(values), classes, class_names=names)
    weights = check_sample_weight(sample_weight, len(values))
    named = None if groups is None else name_groups(groups, len(values), MISSING)
    ids = None if row_ids is None else check_row_ids(row_ids, len(values))
    provenance = provenance_of(model, policy)
    of_rule = groups if policy is None or policy.rule.takes_groups else None
    with known_logits():
        return _evaluate(host, values, truth, weights, names, policy, of_rule, named, ids, provenance, seed)


def _evaluate(
    host: Array,
    values: FloatArray,
    truth: IntArray,
    weights: Weights | None,
    names: tuple[str, ...],
    policy: Policy | None,
    of_rule: Array | None,
    named: RowGroups | None,
    row_ids: npt.NDArray[np.object_] | None,
    provenance: Provenance,
    seed: int,
) -> Evaluation:
    final = given = Predictions.of_logits(values, truth, weights)
    after = decided = audit = outcomes = costs = None
    if policy is None:
        before = judge(given, brier_intervals([given], seed)[0], seed)
    else:
        judged = policy.judge(
            host, probabilities=policy.input == "probabilities", groups=of_rule, wanted=_WANTED
        )
        assert judged.calibrated is not None
        assert judged.probabilities is not None
        assert judged.most_likely is not None
        final = Predictions.of_logits(judged.calibrated, truth, weights)
        outcomes = Outcomes(
            judged.probabilities,
            judged.decision,
            truth,
            judged.most_likely,
            names,
            of_rule,
            weights,
            judged.cheapest,
        )
        costs = policy.rule.costs(outcomes)
        threshold = policy.rule.second_class_threshold(names)
        briers = brier_intervals([given, final], seed)
        before = judge(given, briers[0], seed)
        least, then = policy.rule.least_confidence(len(names)), policy.record_.reliability
        after = judge(final, briers[1], seed, least, threshold, [Reliability.ends(then.edges)])
        decided = judge_decisions(policy.rule, outcomes, costs)
        audit = audit_rows(policy.rule, policy.record_, final, outcomes, after.figures)
    class_calibration = judge_classes(final, names)
    confusions = Confusions.of(truth, final.figure("most_likely"), weights, len(names))
    rule = None if policy is None else policy.rule
    possible = None if decided is None else decided.cost_range
    groups = None if named is None else compare_groups(final, named, rule, outcomes, costs, possible, seed)
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
        mistakes=worst_mistakes(names, final, row_ids),
        decided=decided,
        groups=groups,
        audit=audit,
        record=None if policy is None else policy.record_,
        calibration=None if policy is None else policy.calibration.describe(),
        rule=None if policy is None else policy.rule.describe(),
        evaluated_at=time_now(),
        provenance=provenance,
        row_results=row_results(final, row_ids, rule, outcomes, costs),
        verdict=give_verdict(before, after, class_calibration, decided, audit, groups, of_equal_weight),
    )
