"""A multi-label model judged: a table of labels with their figures, and averages over them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._arrays import Array, FloatArray, as_numpy
from .._checks import (
    LabelTable,
    check_label_table,
    check_label_values,
    check_sample_weight,
    known_logits,
    name_labels,
    warn_of_row_order,
)
from .._clock import time_now
from .._files import write_text
from .._html import panel
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from ..metrics import (
    average_precision,
    brier_score,
    calibration_error,
    f1_score,
    hamming_loss,
    label_scores,
    log_loss,
    multilabel_score,
    precision,
    recall,
    roc_auc,
    subset_accuracy,
)
from ..metrics._undefined import collected
from ..metrics.class_calibration_test import ClassCalibrationTest, class_calibration_test_of
from ..metrics.predictions import Predictions
from ..metrics.shares import WeightedShare, weighted_share
from ..policy import MultilabelAudit, MultilabelPolicy, check_class_names, check_columns
from ..policy.figures import Weights
from .as_json import as_json
from .class_calibration import REJECTED, SMALL_DIFFERENCE, SMALL_ODDS, ClassCalibration, judge_labels
from .formats import counted
from .glossary import terms_of_labels
from .multilabel_verdict import give_label_verdict
from .provenance import Provenance, provenance_of
from .tables import origins
from .template import fill
from .verdict import HIDDEN_ERROR, Verdict

_DECIDED = {"precision": precision, "recall": recall, "f1_score": f1_score}
_RANKED = {"average_precision": average_precision, "roc_auc": roc_auc}
_STATED = {"log_loss": log_loss, "brier_score": brier_score, "calibration_error": calibration_error}
_COLUMNS = {
    "precision": "Precision",
    "recall": "Recall",
    "f1_score": "F1",
    "average_precision": "Average precision",
    "roc_auc": "ROC AUC",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "calibration_error": "Classwise calibration error",
}
_ADVICE = "pass probabilities=True with them (command line: --probabilities)"


@dataclass(frozen=True)
class LabelFigures:
    """The figures of one label, over the rows where it is known.

    Attributes
    ----------
    name : str
        The label.
    rows, positive, predicted : float
        Rows of which it is known, rows that have it, and rows that are taken to have it; the sums of their
        weights, where they have any.
    set_aside : float
        Share of the rows whose label is left to a human; such rows have no part in the next three figures.
    precision, recall, f1_score : float
        Of the decisions of the policy, or without one of taking the label from a probability of 0.5 on.
    average_precision, roc_auc : float
        NaN where every row has the label, or none.
    log_loss, brier_score, calibration_error : float
        Of the probabilities, after calibration if there is a policy. The calibration error is classwise: it
        compares the probability of the label with how often rows have it. The audit's is that of the more
        probable answer, as `Figures.calibration_error` of two classes.
    """

    name: str
    rows: float
    positive: float
    predicted: float
    set_aside: float
    precision: float
    recall: float
    f1_score: float
    average_precision: float
    roc_auc: float
    log_loss: float
    brier_score: float
    calibration_error: float

    def figures(self) -> dict[str, float]:
        """Return the figures by their names."""
        return {name: getattr(self, name) for name in (*_DECIDED, *_RANKED, *_STATED)}


@dataclass(frozen=True)
class MultilabelEvaluation:
    """The findings of :func:`evaluate_multilabel`.

    Attributes
    ----------
    rows : int
        Rows judged.
    labels : tuple of LabelFigures
        One per label, in the order of the columns.
    averages : dict of str to dict of str to float
        For ``"macro"``, ``"micro"`` and ``"weighted"``: the figures of `LabelFigures`, averaged as by
        `metrics.multilabel_score`; for ``"samples"``: precision, recall and F1.
    hamming_loss, subset_accuracy : float
        Of what was decided.
    audit : MultilabelAudit or None
        Whether the policy's promises hold on these rows.
    calibration : tuple of ClassCalibration
        Whether the probability of each label can be believed, after calibration if there is a policy. Labels
        without known rows are left out.
    evaluated_at : str
        Time of the evaluation, ISO 8601 in UTC.
    provenance : Provenance
        The model, files and policy with their hashes, and the version of softmaxlib.
    verdict : Verdict
        The findings in words.
    """

    rows: int
    labels: tuple[LabelFigures, ...]
    averages: dict[str, dict[str, float]]
    hamming_loss: float
    subset_accuracy: float
    audit: MultilabelAudit | None
    calibration: tuple[ClassCalibration, ...]
    evaluated_at: str
    provenance: Provenance
    verdict: Verdict

    def __repr__(self) -> str:
        macro = self.averages["macro"]
        return (
            f"MultilabelEvaluation({counted(self.rows, 'row')}, {counted(len(self.labels), 'label')}: "
            f"mean F1 {_figure(macro['f1_score'])}, "
            f"mean average precision {_figure(macro['average_precision'])})"
        )

    def _repr_html_(self) -> str:
        rows = [(one.name, *(_figure(one.figures()[field]) for field in _COLUMNS)) for one in self.labels]
        said = (self.verdict.headline, *self.verdict.sentences)
        return panel(repr(self), said, ("Label", *_COLUMNS.values()), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as plain values that ``json.dump`` takes; what is not a number is None."""
        audit = None if self.audit is None else self.audit.to_dict()
        return {
            "rows": self.rows,
            "labels": [_finite(asdict(one)) for one in self.labels],
            "averages": {name: _finite(figures) for name, figures in self.averages.items()},
            "hamming_loss": self.hamming_loss,
            "subset_accuracy": self.subset_accuracy,
            "audit": audit,
            "calibration": as_json(self.calibration),
            "evaluated_at": self.evaluated_at,
            "provenance": as_json(self.provenance),
            "verdict": as_json(self.verdict),
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write every figure as JSON; what is not a number is null."""
        content = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        write_text(path, content + "\n")

    def to_html(self, path: str | os.PathLike[str], *, title: str = "Can this model be trusted?") -> None:
        """Write one self-contained HTML file: verdict, table of labels, averages, promises.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        title : str
            The heading.
        """
        write_text(path, _page(self, title))


@checked_keywords
@underflow_is_zero
def evaluate_multilabel(
    logits: Array,
    labels: Array,
    /,
    *,
    policy: MultilabelPolicy | None = None,
    class_names: Sequence[str] | None = None,
    probabilities: bool = False,
    sample_weight: Array | None = None,
    model: str | os.PathLike[str] | None = None,
) -> MultilabelEvaluation:
    """Judge a multi-label model on labelled rows, and a policy with it.

    Parameters
    ----------
    logits : array (rows, labels)
        One logit per label of rows that neither the model nor the policy was fitted on; one probability per
        label when `probabilities` is true.
    labels : array (rows, labels), or sequence of lists of names
        0 or 1 (False or True) in each cell; NaN or None where it is not known. Or the names of the labels
        that each row has.
    policy : MultilabelPolicy, optional
        Judged too: its probabilities, its decisions, its promises.
    class_names : sequence of str, optional
        One per label. By default the policy's, or those of a frame's columns, else ``"0"``, ``"1"``, ...
    probabilities : bool, default False
        Whether the first argument holds probabilities.
    sample_weight : array (rows,), optional
        How often each row counts.
    model : str or path, optional
        The model, for the record: the path of its file, whose SHA-256 is taken, or its name.

    Returns
    -------
    MultilabelEvaluation

    Raises
    ------
    InvalidInputError
        For input that breaks a rule, or a policy for other labels.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.report import evaluate_multilabel
    >>> rng = np.random.default_rng(0)
    >>> logits = 2 * rng.normal(size=(500, 2))
    >>> labels = rng.random((500, 2)) < 1 / (1 + np.exp(-logits))
    >>> evaluation = evaluate_multilabel(logits, labels, class_names=["cat", "dog"])
    >>> [one.name for one in evaluation.labels if one.roc_auc > 0.8]
    ['cat', 'dog']
    >>> evaluation.verdict.headline
    'The probabilities can be believed'
    """
    provenance = provenance_of(model, policy)
    values = check_label_values(logits, probabilities, _ADVICE)
    count = values.shape[1]
    if class_names is None and policy is not None:
        class_names = policy.class_names_
    names = check_class_names(name_labels(logits, labels, class_names, count), count)
    if policy is not None and policy.class_names_ != names:
        raise InvalidInputError("class_names must be those of the policy, in its order; leave them out")
    check_columns(logits, names, "of class_names" if policy is None else "that the policy was fitted on")
    warn_of_row_order(logits, labels=labels, sample_weight=sample_weight)
    table = check_label_table(labels, values.shape, names)
    weights = check_sample_weight(sample_weight, len(values))
    truth = np.where(table.known, table.truth, np.nan)
    stated, are_probabilities = values, probabilities
    taken = values > (0.5 if probabilities else 0.0)
    aside = np.zeros(values.shape, bool)
    audit = None
    with known_logits():
        if policy is not None:
            decision = policy.decide(values, probabilities=probabilities)
            stated, are_probabilities = as_numpy(decision.probability, "probability"), True
            taken, aside = decision.action == 1, decision.abstained
            audit = policy.audit(values, truth, probabilities=probabilities, sample_weight=weights)
        decided_truth = np.where(aside, np.nan, truth)
        of_decisions = (taken.astype(np.float64), decided_truth)
        of_statements = (stated, truth)
        decided = {"probabilities": True, "sample_weight": weights}
        ranked = {"probabilities": are_probabilities, "sample_weight": weights}
        calibrated = {**ranked, "scope": "classwise"}
        judged = [
            *((name, metric, of_decisions, decided) for name, metric in _DECIDED.items()),
            *((name, metric, of_statements, ranked) for name, metric in _RANKED.items()),
            *(
                (name, metric, of_statements, calibrated if metric is calibration_error else ranked)
                for name, metric in _STATED.items()
            ),
        ]
        some_decided = bool((~np.isnan(decided_truth)).any())
        kept = [one for one in judged if some_decided or one[0] not in _DECIDED]
        with collected():  # a table marks its own empty cells
            figures = {
                name: label_scores(metric, *rows, **options).tolist() for name, metric, rows, options in kept
            }
            averages = {
                average: {
                    name: multilabel_score(metric, *rows, average=average, **options)
                    for name, metric, rows, options in kept
                    if average != "samples" or name in _DECIDED
                }
                for average in ("macro", "micro", "weighted", "samples")
            }
        tests, positive = _label_tests(stated, table, weights, names, are_probabilities)
    absent = [float("nan")] * count
    cell = np.where(table.known, 1.0 if weights is None else weights[:, None], 0.0)
    of_label = cell.sum(axis=0)
    with np.errstate(invalid="ignore"):
        set_aside = (cell * aside).sum(axis=0) / of_label
    wrong = hamming_loss(*of_decisions, **decided) if some_decided else float("nan")
    every_right = subset_accuracy(*of_decisions, **decided) if some_decided else float("nan")
    calibration = judge_labels(tests)
    of_all = float((cell * aside).sum() / cell.sum()) if cell.any() else 1.0
    return MultilabelEvaluation(
        rows=len(values),
        labels=tuple(
            LabelFigures(
                name,
                float(of_label[k]),
                float((cell * table.truth)[:, k].sum()),
                float((cell * taken)[:, k].sum()),
                float(set_aside[k]),
                **{one[0]: figures.get(one[0], absent)[k] for one in judged},
            )
            for k, name in enumerate(names)
        ),
        averages=averages,
        hamming_loss=wrong,
        subset_accuracy=every_right,
        audit=audit,
        calibration=calibration,
        evaluated_at=time_now(),
        provenance=provenance,
        verdict=give_label_verdict(len(values), calibration, positive, wrong, every_right, of_all, audit),
    )


def _label_tests(
    stated: FloatArray,
    table: LabelTable,
    weights: Weights | None,
    names: tuple[str, ...],
    probabilities: bool,
) -> tuple[dict[str, ClassCalibrationTest], list[WeightedShare]]:
    """Test the probability of each label that is known in some row, and return the share that has it."""
    tests, positive = {}, []
    counts = table.known if weights is None else table.known & (weights > 0)[:, None]
    for column in np.flatnonzero(counts.any(axis=0)).tolist():
        known = table.known[:, column]
        truth, of_known = table.truth[known, column], None if weights is None else weights[known]
        rows = Predictions.check(stated[known, column], truth.astype(np.int64), of_known, probabilities)
        tests[names[column]] = class_calibration_test_of(rows)
        positive.append(weighted_share(truth.astype(bool), of_known))
    return tests, positive


def _finite(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in figures.items()
    }


def _page(evaluation: MultilabelEvaluation, title: str) -> str:
    """Render the page as text."""
    return fill(
        "multilabel.html",
        title=title,
        evaluation=evaluation,
        columns=_COLUMNS,
        figure=_figure,
        calibration={one.name: one for one in evaluation.calibration},
        origins=origins(evaluation.provenance),
        glossary=terms_of_labels(evaluation.audit is not None),
        rules={
            "rejected": REJECTED,
            "small_difference": SMALL_DIFFERENCE,
            "small_odds": SMALL_ODDS,
            "hidden": HIDDEN_ERROR,
        },
    )


def _figure(value: float) -> str:
    return "\u2013" if not np.isfinite(value) else f"{value:.4f}"
