"""compare: two models, or one on two dates, with the differences and their intervals."""

from collections.abc import Iterator

import numpy as np

from .._checks import RandomState, check_random_state
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from .comparison import Agreement, Comparison, FigureDifference, LostRow
from .differences import figure_differences
from .evaluation import Evaluation
from .formats import counted
from .pairing import Pairing, pair_rows
from .row_results import RowResults

_LOST = 12


@checked_keywords
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
    Rows are paired by their ids if both evaluations have the same ids, each of them once. Otherwise they
    are paired in order, if the true classes, and the ids where both have them, are the same in the same
    order. The first sentence says how they were paired, or what kept them from it.

    Intervals are from a bootstrap of 1,000 draws. Each draw takes the same rows for both evaluations if rows
    are paired, so that rows that are hard for both models cancel out; otherwise the two are drawn separately.
    A p-value is that of a permutation test: in 999 draws, the two results of each row swap places at random,
    or all rows are dealt out to both again if they are not paired. It needs no law of large numbers.

    One is better by a figure if the interval excludes 0 and the p-value is at most 0.05. Chance alone makes
    any calibration error larger than 0, so there the larger one must also be more than chance, by
    `metrics.calibration_test`. Fewer than 30 rows (effective rows, if they have weights) are too few to tell.
    In simulations of two models that are equally good, on 30 to 1,000 rows, 2 to 6 of 100 comparisons found
    one better by a given figure. Figures are judged one by one: about every tenth comparison found one better
    by some figure, and every seventh with a policy, which adds figures.

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
    pairing = pair_rows(one, other, first.class_names, names)
    if pairing.order is not None:
        other = other.in_order(pairing.order)
    p_values = first.final.calibration_p_value, second.final.calibration_p_value
    figures = figure_differences(one, other, p_values, bool(pairing.how), seed)
    agreement, lost = None, ()
    if pairing.how:
        agreement = _agreement(one, other)
        lost = tuple(_lost(one, other, first.class_names))
    headline = _headline(figures, names)
    sentences = _sentences(first, second, figures, names, pairing, agreement)
    return Comparison(names, first, second, pairing.how, figures, agreement, lost, headline, sentences)


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
    if said:
        return "; ".join(said)
    if all(one.is_of_few_rows for one in figures):
        return f"These rows are too few to tell {names[0]} and {names[1]} apart"
    return f"{names[0]} and {names[1]} do not differ by more than chance in any figure"


def _sentences(
    first: Evaluation,
    second: Evaluation,
    figures: tuple[FigureDifference, ...],
    names: tuple[str, str],
    pairing: Pairing,
    agreement: Agreement | None,
) -> tuple[str, ...]:
    said = [f"{pairing.sentence}."]
    for one in figures:
        is_chance = not (one.better or one.is_of_few_rows or one.figure == "share decided")
        said.append(
            f"{one.figure.capitalize()}: {one.written(one.first)} and {one.written(one.second)}, a "
            f"difference of {one.written_difference} ({'' if one.is_of_few_rows else '95% interval '}"
            f"{one.written_interval})"
            f"{': no more than chance' if is_chance else ''}."
        )
    if agreement is not None:
        said.append(
            f"Both are right in {counted(round(agreement.both), 'row')}, only {names[0]} in "
            f"{agreement.first_only:,.0f}, only {names[1]} in {agreement.second_only:,.0f}, and neither in "
            f"{agreement.neither:,.0f}."
        )
    said += [
        f"{name}: {evaluation.verdict.headline}."
        for name, evaluation in zip(names, (first, second), strict=True)
    ]
    return tuple(said)


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
