"""The verdict on a multi-label model, in words, by the rules of the verdict on a classifier."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ..metrics.shares import WeightedShare, clopper_pearson
from ..policy import Audit, MultilabelAudit
from .class_calibration import ClassCalibration, misstated_labels, of_labels
from .formats import counted
from .verdict import HIDDEN_ERROR, TWO_QUESTIONS, Verdict, headline_of, holds_calibration, of_promises


def give_label_verdict(
    rows: int,
    calibration: Sequence[ClassCalibration],
    positive: Sequence[WeightedShare],
    wrong: float,
    every_right: float,
    set_aside: float,
    audit: MultilabelAudit | None,
) -> Verdict:
    """Give the verdict on the probability of each label, and on the promises.

    Parameters
    ----------
    rows : int
        Rows judged.
    calibration : sequence of ClassCalibration
        One per label with known rows.
    positive : sequence of WeightedShare
        The share of the known rows that have the label, for the same labels.
    wrong, every_right : float
        The share of wrong labels among the decided ones, and of rows with every label right.
    set_aside : float
        The share of labels left to a human.
    audit : MultilabelAudit or None
        Of a policy.
    """
    grade: Literal["good", "caution", "bad"] = "good"
    headline = "The probabilities can be believed"
    misstated, promises = misstated_labels(calibration), _together(audit)
    if misstated:
        grade = "bad" if any(one.badly for one in misstated) else "caution"
        headline = headline_of(misstated, "label", "labels")
    elif not calibration or max(map(_half_width, positive)) > HIDDEN_ERROR:
        grade = "caution"
        headline = "These rows are too few to tell whether the probabilities can be believed"
    elif promises is not None and not promises.holds:
        grade = "caution"
        headline = "The probabilities can be believed, but a promise of the policy no longer holds"
    sentences = _of_decisions(rows, wrong, every_right, set_aside)
    sentences += of_labels(calibration) if calibration else []
    if promises is not None and promises.checks:
        sentences.append(of_promises(promises))
        if misstated and holds_calibration(promises):
            sentences.append(TWO_QUESTIONS)
    return Verdict(grade, headline, tuple(sentences))


def _together(audit: MultilabelAudit | None) -> Audit | None:
    """Return the promises of all labels, each with the name of its label."""
    if audit is None:
        return None
    checks = [
        replace(check, promise=f"{check.promise} of {name}")
        for name, one in audit.audits.items()
        for check in one.checks
    ]
    return Audit(audit.rows, audit.significance, tuple(checks))


def _half_width(positive: WeightedShare) -> float:
    """Return how far the share of rows with a label may be off: the longer half of its 95% interval."""
    low, high = clopper_pearson(positive, 0.95)
    return max(float(high - positive.value), float(positive.value - low))


def _of_decisions(rows: int, wrong: float, every_right: float, set_aside: float) -> list[str]:
    if set_aside >= 1 or wrong != wrong:
        return ["No label is decided on these rows."]
    decided = "labels" if set_aside == 0 else "decided labels"
    sentences = [
        f"{every_right:.1%} of the {counted(rows, 'row')} have every {decided[:-1]} right; {wrong:.1%} of "
        f"the {decided} are wrong."
    ]
    if set_aside > 0:
        sentences.append(f"The policy sets {set_aside:.1%} of the labels aside for a human.")
    return sentences
