"""compare: two models, or one on two dates, with the differences and their intervals."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import RandomState, check_random_state
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from ..metrics import accuracy, brier_score, calibration_error, log_loss
from ..metrics._sums import Sums, mean_sums
from ..metrics.bootstrap_interval import SUMS, draws_of_sums
from ..metrics.predictions import Predictions
from .comparison import Agreement, Comparison, FigureDifference, LostRow
from .evaluation import Evaluation
from .groups import Measured
from .row_results import RowResults

_RESAMPLES = 1000
_LEVEL = 0.95
_LOST = 12
_METRICS = {
    "accuracy": accuracy,
    "log loss": log_loss,
    "Brier score": brier_score,
    "calibration error": calibration_error,
}
_LARGER_IS_BETTER = {"accuracy": True, "accuracy of the decided": True, "share decided": None}


class _Figure(NamedTuple):
    """A figure of one evaluation, as a function of sums over its rows."""

    name: str
    sums: Sums


@underflow_is_zero
def compare(
    first: Evaluation,
    second: Evaluation,
    *,
    names: tuple[str, str] = ("first", "second"),
    random_state: RandomState = 0,
) -> Comparison:
    """Compare two evaluations: two models on the same rows, or one model on the rows of two dates.

    Parameters
    ----------
    first, second : Evaluation
        Of :func:`evaluate` or `softmaxlib.files.evaluate`, for the same classes. After calibration where
        there is a policy.
    names : pair of str
        What they are called.
    random_state : int or numpy.random.Generator, default 0
        Seed of the bootstrap. A generator gives the seed.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInputError
        For evaluations of different classes, for one id with two true classes, and for names that are not two
        different texts.

    Notes
    -----
    Rows are paired by their ids if both evaluations have the same ids, each of them once. Without ids they
    are paired in order, if the true classes are the same in the same order. Intervals are from a bootstrap
    of 1,000 draws. Each draw takes the same rows for both evaluations if rows are paired, so that rows that
    are hard for both models cancel out; otherwise the two are drawn separately. The intervals are not
    adjusted for the number of figures: if nothing differs, about every third comparison has an interval of
    some figure that excludes 0.

    If an evaluation is that of a sample, the differences and their intervals are those of the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import evaluate
    >>> from softmaxlib.report import compare
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=900)
    >>> logits = 3 * np.eye(3)[labels] + 3 * rng.normal(size=(900, 3))
    >>> better = logits + np.eye(3)[labels]
    >>> compare(evaluate(logits, labels), evaluate(better, labels), names=("old", "new"))
    Comparison(new is better by accuracy, log loss, Brier score and calibration error)
    """
    seed = check_random_state(random_state)
    if len(names) != 2 or not all(isinstance(name, str) for name in names) or names[0] == names[1]:
        raise InvalidInputError(f"names must be two different texts, got {names!r}")
    one, other = first.row_results, _in_order_of(first.class_names, second)
    order, paired = _pairing(one, other, first.class_names)
    if order is not None:
        other = other.in_order(order)
    figures = tuple(_differences(one, other, seed, seed if paired else seed + 1))
    agreement, lost = None, ()
    if paired:
        agreement = _agreement(one, other)
        lost = tuple(_lost(one, other, first.class_names))
    headline = _headline(figures, names)
    sentences = _sentences(first, second, figures, names, paired, agreement)
    return Comparison(names, first, second, paired, figures, agreement, lost, headline, sentences)


def _in_order_of(names: tuple[str, ...], evaluation: Evaluation) -> RowResults:
    """Return the rows with their classes in the order of the other evaluation."""
    rows = evaluation.row_results
    if evaluation.class_names == names:
        return rows
    if sorted(evaluation.class_names) != sorted(names):
        raise InvalidInputError(
            "evaluations must be of the same classes to be compared, got "
            f"{', '.join(names)} and {', '.join(evaluation.class_names)}; evaluate both with the same "
            "class_names"
        )
    place = np.array([names.index(name) for name in evaluation.class_names])
    return rows._replace(labels=place[rows.labels])


def _pairing(
    one: RowResults, other: RowResults, names: tuple[str, ...]
) -> tuple[npt.NDArray[np.int64] | None, Literal["by id", "in order", ""]]:
    """Return where each row of the first is in the second (None if the same), and how they were paired."""
    if one.row_ids is not None and other.row_ids is not None:
        found = {name: place for place, name in enumerate(other.row_ids.tolist())}
        wanted = one.row_ids.tolist()
        alike = set(wanted) == set(found) and len(wanted) == len(found) == len(other.labels)
        if not alike or None in found:
            return None, ""
        order = np.array([found[name] for name in wanted], dtype=np.int64)
        differing = np.flatnonzero(other.labels[order] != one.labels)
        if differing.size:
            row = int(differing[0])
            classes = names[one.labels[row]], names[other.labels[order[row]]]
            raise InvalidInputError(
                f"the row with the id {wanted[row]!r} has the true class {classes[0]!r} in the first "
                f"evaluation and {classes[1]!r} in the second; correct one of them"
            )
        return order, "by id"
    return None, "in order" if np.array_equal(one.labels, other.labels) else ""


def _differences(
    one: RowResults, other: RowResults, seed: int, other_seed: int
) -> Iterator[FigureDifference]:
    for mine, yours in zip(_figures(one), _figures(other), strict=False):
        if mine is None or yours is None:
            continue
        first, second = (_value(figure.sums, rows) for figure, rows in ((mine, one), (yours, other)))
        if not np.isfinite([first, second]).all():
            continue
        with np.errstate(invalid="ignore", divide="ignore"):  # draws in which no row is decided
            (draws,) = draws_of_sums([yours.sums], len(other.labels), _RESAMPLES, other_seed)
            draws -= draws_of_sums([mine.sums], len(one.labels), _RESAMPLES, seed)[0]
        value = second - first
        low, high = np.nanquantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        difference = Measured(value, float(2 * value - high), float(2 * value - low))
        yield FigureDifference(mine.name, first, second, difference, _better(mine.name, difference))


def _figures(rows: RowResults) -> Iterator[_Figure | None]:
    """Return the figures in a fixed order; None for a figure that does not apply."""
    known = {name: getattr(rows, name) for name in ("correct", "confidence", "log_loss", "brier_score")}
    # of the figures alone: the values themselves are not kept
    predictions = Predictions(np.empty((len(rows.labels), 0)), rows.labels, rows.sample_weight, False, known)
    for name, metric in _METRICS.items():
        yield _Figure(name, SUMS[metric](predictions))
    weights = predictions.weights
    decided = rows.decided
    yield None if decided is None else _Figure("share decided", mean_sums(decided, weights))
    no_risk = decided is None or rows.right is None
    yield None if no_risk else _Figure("accuracy of the decided", mean_sums(rows.right, weights * decided))  # type: ignore[arg-type]
    yield None if rows.cost is None else _Figure("cost of a row", mean_sums(rows.cost, weights))


def _value(sums: Sums, rows: RowResults) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(sums.figure(sums.of_groups(np.zeros(len(rows.labels), np.int64), 1))[0])


def _better(figure: str, difference: Measured) -> Literal["first", "second", ""]:
    larger = _LARGER_IS_BETTER.get(figure, False)
    if larger is None or difference.lower <= 0 <= difference.upper:
        return ""
    return "second" if (difference.value > 0) == larger else "first"


def _agreement(one: RowResults, other: RowResults) -> Agreement:
    weights = np.ones(len(one.labels)) if one.sample_weight is None else one.sample_weight
    counts = np.bincount(2 * one.correct + other.correct, weights, 4).tolist()
    return Agreement(counts[3], counts[2], counts[1], counts[0])


def _lost(one: RowResults, other: RowResults, names: tuple[str, ...]) -> Iterator[LostRow]:
    places = np.flatnonzero(one.correct & ~other.correct)
    found = places[np.argsort(-other.confidence[places], kind="stable")][:_LOST]
    ids = [None] * len(found) if one.row_ids is None else one.row_ids[found].tolist()
    for row, name in zip(found.tolist(), ids, strict=True):
        yield LostRow(row, name, names[one.labels[row]], float(other.confidence[row]))


def _headline(figures: tuple[FigureDifference, ...], names: tuple[str, str]) -> str:
    ahead = {side: [one.figure for one in figures if one.better == side] for side in ("first", "second")}
    said = [
        f"{name} is better by {_joined(ahead[side])}"
        for name, side in zip(names, ("first", "second"), strict=True)
        if ahead[side]
    ]
    return "; ".join(said) or f"By no figure can {names[0]} and {names[1]} be told apart"


def _sentences(
    first: Evaluation,
    second: Evaluation,
    figures: tuple[FigureDifference, ...],
    names: tuple[str, str],
    paired: str,
    agreement: Agreement | None,
) -> tuple[str, ...]:
    rows = len(first.row_results.labels), len(second.row_results.labels)
    how = {
        "by id": f"Both are judged on the same {rows[0]:,} rows, found by their ids",
        "in order": f"Both are judged on the same {rows[0]:,} rows, in the same order",
        "": f"The rows are others: {rows[0]:,} and {rows[1]:,}. They, not the model, may make a difference",
    }[paired]
    said = [f"{how}."]
    for one in figures:
        found = ": no more than chance" if not one.better and one.figure != "share decided" else ""
        said.append(
            f"{one.figure.capitalize()}: {one.written(one.first)} and {one.written(one.second)}, a "
            f"difference of {one.written_difference} (95% interval {one.written_interval}){found}."
        )
    if agreement is not None:
        said.append(
            f"Both are right in {agreement.both:,.0f} rows, only {names[0]} in {agreement.first_only:,.0f}, "
            f"only {names[1]} in {agreement.second_only:,.0f}, and neither in {agreement.neither:,.0f}."
        )
    said += [
        f"{name}: {evaluation.verdict.headline}."
        for name, evaluation in zip(names, (first, second), strict=True)
    ]
    return tuple(said)


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
