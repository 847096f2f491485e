"""The glossary of the report: the terms that occur in an evaluation."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evaluation import Evaluation

Terms = list[tuple[str, str]]

_EVERY: Terms = [
    ("Confidence", "The probability that the model gives to the class it takes for most likely."),
    ("Accuracy", "The share of rows whose most likely class is the true one."),
    (
        "Log loss",
        "The mean of -log of the probability given to the true class, in nats (natural logarithm). Sure and "
        "wrong costs most; 0 is best.",
    ),
    (
        "Brier score",
        "The mean squared distance between the probabilities and the truth, from 0 (best) to 2.",
    ),
    (
        "Calibration error",
        "By how much stated confidence and actual accuracy differ on average. A calibrated model that says "
        "80% is right in 80% of such rows.",
    ),
    (
        "95% interval",
        "Such an interval contains the figure for unlimited rows of the same kind in 95 of 100 evaluations.",
    ),
    (
        "p-value",
        "The chance of a finding at least as clear if there were nothing to find. A small one is evidence "
        "against chance.",
    ),
    (
        "Holm's method",
        "Raises the p-values of several tests, so that all of them together give a false alarm no more "
        "often than one test would.",
    ),
    ("Recognised (recall)", "The share of the rows of a class whose most likely class it is."),
    ("Right when named (precision)", "The share of the rows predicted as a class that belong to it."),
]
_RULE: Terms = [
    ("Decided, handed over", "A row is decided by the policy, or set aside for a human: handed over."),
    ("Risk", "The share of wrong decisions among the decided rows."),
]
_COST: Terms = [
    (
        "Cost",
        "The cost of a decision by the policy's table of costs, in its unit. The expected cost is its mean "
        "by the probabilities.",
    )
]
_SETS: Terms = [
    ("Prediction set", "The classes that can't be ruled out for a row: an answer if it is one, else a list."),
]
_BINARY: Terms = [
    (
        "ROC",
        "The share of a class that is found against the share of the others taken for it, at every "
        "threshold. The area under it is 1 at best and 0.5 by chance.",
    ),
    ("Average precision", "The area under the curve of precision against recall; 1 at best."),
]
_WEIGHTS: Terms = [("Weight", "How often a row counts. Intervals take each row as one row of evidence.")]
_LABELS: Terms = [
    ("Precision", "The share of the rows taken to have a label that do have it."),
    ("Recall", "The share of the rows with a label that are taken to have it."),
    ("F1", "The harmonic mean of precision and recall: high only if both are; 1 at best."),
    (
        "Classwise calibration error",
        "By how much the probability of a label and the share of rows that have it differ on average. Of the "
        "rows where a calibrated model says 30%, 30% have the label.",
    ),
]
_PROMISES: Terms = [
    (
        "Calibration error of the more probable answer",
        "The error that the audit compares with that of the fit. The answer for a row is the more probable "
        "of two: it has the label, or it does not. The error is by how much the probability of these answers "
        "and the share of right ones differ on average.",
    )
]
_COMPARED: Terms = [
    (
        "Bootstrap",
        "The rows are drawn again, many times, with replacement: the variation of a figure over the draws "
        "shows how uncertain it is.",
    ),
    (
        "Permutation test",
        "The two results of each row change places at random, many times: a difference that is rarely as "
        "large by chance is evidence. Rows that are not paired are dealt out to both again.",
    ),
    (
        "Paired",
        "Both models are judged on the same rows, and rows are drawn for both together, so that rows that "
        "are hard for both cancel out.",
    ),
]


def terms_of_labels(has_policy: bool) -> Terms:
    """Return the terms that the page of a multi-label model uses, with their explanations."""
    of_all = dict(_EVERY)
    shared = [(term, of_all[term]) for term in ("Log loss", "Brier score", "p-value", "Holm's method")]
    return [*_LABELS, *(_PROMISES if has_policy else []), *shared, *_BINARY]


def terms_of(evaluation: "Evaluation") -> Terms:
    """Return the terms that the page of an evaluation uses, with their explanations."""
    decided = evaluation.decided
    terms = list(_EVERY)
    if decided is not None:
        terms += _RULE
        terms += [] if decided.mean_cost is None else _COST
        terms += [] if decided.set_sizes is None else _SETS
    terms += [] if evaluation.final.roc is None else _BINARY
    terms += [] if evaluation.effective_rows is None else _WEIGHTS
    return terms


def terms_of_comparison(first: "Evaluation") -> Terms:
    """Return the terms that the page of a comparison uses, with their explanations."""
    return [*terms_of(first), *_COMPARED]
