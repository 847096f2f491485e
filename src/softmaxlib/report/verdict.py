"""The figures in words, by rules that are stated here and in the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from .._text import listed, spoken
from ..policy import Audit
from .class_calibration import REJECTED, ClassCalibration, misstated_classes, of_classes
from .decided import Decided
from .formats import counted, p_is, ranged, share
from .groups import GroupComparison
from .judgement import Judgement

# A calibration error below one percentage point counts as small, whatever the test says: on many rows the
# test finds deviations that change no decision.
SMALL_ERROR = 0.01
LARGE_ERROR = 0.03
# If chance alone could make the error larger than this, there are too few rows for a verdict.
HIDDEN_ERROR = 0.05
TWO_QUESTIONS = (
    "The audit asks whether calibration got worse since the fit; the tests above ask whether the "
    "probabilities are exactly right."
)


@dataclass(frozen=True)
class Verdict:
    """A grade, a headline and a few sentences.

    Attributes
    ----------
    grade : "good", "caution" or "bad"
        Whether probabilities can be taken at face value.
    headline : str
        The verdict in a line.
    sentences : tuple of str
        What it rests on.
    """

    grade: Literal["good", "caution", "bad"]
    headline: str
    sentences: tuple[str, ...]


def give_verdict(
    before: Judgement,
    after: Judgement | None,
    classes: Sequence[ClassCalibration],
    decided: Decided | None,
    audit: Audit | None,
    groups: GroupComparison | None,
    effective_rows: float | None,
) -> Verdict:
    """Give the verdict on the probabilities, after calibration if there is a policy, and on each class."""
    final = after or before
    grade, headline = _grade(final)
    misstated = misstated_classes(classes)
    if misstated and grade != "bad":
        grade = "bad" if any(one.badly for one in misstated) else "caution"
        headline = headline_of(misstated)
    if audit is not None and not audit.holds and grade == "good":
        grade = "caution"
        headline = "The probabilities can be believed, but a promise of the policy no longer holds"
    sentences = [_of_accuracy(final, effective_rows), _of_calibration(final), *of_classes(classes)]
    if after is not None and after.figures != before.figures:
        sentences.append(_of_improvement(before, after))
    if decided is not None:
        sentences.extend(_of_decisions(decided))
    if audit is not None:
        sentences.append(of_promises(audit))
        if (misstated or _is_off(final)) and holds_calibration(audit):
            sentences.append(TWO_QUESTIONS)
    if groups is not None:
        sentences.append(_of_groups(groups))
    return Verdict(grade, headline, tuple(sentences))


def _grade(judgement: Judgement) -> tuple[Literal["good", "caution", "bad"], str]:
    error = judgement.figures.calibration_error
    too_sure = judgement.overconfidence > 0
    if error < SMALL_ERROR and not _too_few_rows(judgement):
        return "good", "The probabilities can be believed"
    if judgement.calibration_p_value > REJECTED:
        if _too_few_rows(judgement):
            return "caution", "These rows are too few to tell whether the probabilities can be believed"
        return "good", "The probabilities can be believed"
    if error < LARGE_ERROR:
        lean = "a little too sure of itself" if too_sure else "a little too timid"
        return "caution", f"The probabilities are close to right: the model is {lean}"
    return "bad", "The model is too sure of itself" if too_sure else "The model is less sure than it could be"


def headline_of(misstated: Sequence[ClassCalibration], noun: str = "class", nouns: str = "classes") -> str:
    """Name what is misstated."""
    if len(misstated) > 1:
        return f"The probabilities of {len(misstated)} {nouns} can't be believed"
    one = misstated[0]
    return f"The probability of {spoken(one.name, noun)} can't be believed: it is {one.misstated}"


def _is_off(judgement: Judgement) -> bool:
    """Return True if the calibration error is more than chance, and not small."""
    return judgement.calibration_p_value <= REJECTED and judgement.figures.calibration_error >= SMALL_ERROR


def holds_calibration(audit: Audit) -> bool:
    """Return True if calibration is no worse than at the fit, as far as these rows tell."""
    return all(check.holds for check in audit.checks if check.promise.startswith("calibration"))


def _too_few_rows(judgement: Judgement) -> bool:
    """Return True if there are too few rows to exclude a large error: of calibration, or of the accuracy."""
    low, high = judgement.accuracy_interval
    accuracy = judgement.figures.accuracy
    return max(judgement.chance_interval[1], high - accuracy, accuracy - low) > HIDDEN_ERROR


def _of_accuracy(judgement: Judgement, effective_rows: float | None) -> str:
    low, high = judgement.accuracy_interval
    figures = judgement.figures
    weighed = ""
    if effective_rows is not None:
        weighed = f" with weights, which are worth {counted(round(effective_rows), 'row')} of equal weight"
    return (
        f"The most likely class is right in {figures.accuracy:.1%} of {counted(figures.rows, 'row')}"
        f"{weighed} (95% interval {share(low)} to {share(high)})."
    )


def _of_calibration(judgement: Judgement) -> str:
    error = judgement.figures.calibration_error
    low, high = judgement.chance_interval
    by_chance = ranged(f"{100 * low:.1f}", f"{100 * high:.1f}")
    chance = f"if the probabilities are exactly right, chance alone makes that {by_chance}"
    if judgement.tested_error is not None:
        chance = f"on the rows that were drawn by {100 * judgement.tested_error:.1f}, and there, {chance}"
    if judgement.calibration_p_value > REJECTED:
        finding = (
            f"A deviation this small is no evidence against them (p = {judgement.calibration_p_value:.2g})"
        )
        if _too_few_rows(judgement):
            finding += ", but with so few rows a large one would not be seen either"
    elif error < SMALL_ERROR:
        finding = "The deviation is real but too small to matter for most decisions"
    else:
        finding = "The deviation is more than chance: do not take the stated probabilities at face value"
    return (
        f"Stated confidence and actual accuracy differ by {100 * error:.1f} percentage points on average; "
        f"{chance}. {finding}."
    )


def _of_improvement(before: Judgement, after: Judgement) -> str:
    """Say what calibration changed: by how much, or that it does not show in the digits that are written."""
    old, new = before.figures, after.figures
    verb = "lowers" if new.log_loss <= old.log_loss else "raises"
    losses = f"{old.log_loss:.4f}", f"{new.log_loss:.4f}"
    errors = f"{old.calibration_error:.1%}", f"{new.calibration_error:.1%}"
    loss = _change(verb, "the log loss", *losses)
    error = _change("takes", "the calibration error", *errors)
    if losses[0] == losses[1] and errors[0] == errors[1]:
        error = f"the calibration error at {errors[1]}"
    return f"Calibration {loss} and {error}."


def _change(verb: str, figure: str, old: str, new: str) -> str:
    return f"leaves {figure} at {new}" if old == new else f"{verb} {figure} from {old} to {new}"


def _of_decisions(decided: Decided) -> list[str]:
    sentences = []
    if decided.decided < decided.rows:
        aside = 1 - decided.coverage
        low, high = decided.accuracy_interval
        right = (
            f"; of the rest, {decided.accuracy:.1%} are right (95% interval {share(low)} to {share(high)})"
        )
        if decided.actions or not decided.decided:
            right = "" if decided.decided else "; nothing is decided"
        sentences.append(f"The policy sets {aside:.1%} of the rows aside for a human{right}.")
    elif not decided.actions and decided.set_coverage is None:
        low, high = decided.accuracy_interval
        sentences.append(
            f"The policy decides every row: {decided.accuracy:.1%} are right (95% interval {share(low)} to "
            f"{share(high)})."
        )
    if decided.meaning:
        sentences.append(decided.meaning)
    if decided.actions:
        taken = ", ".join(f"{action.name} {action.rows / decided.rows:.1%}" for action in decided.actions)
        sentences.append(f"Actions taken, as shares of the rows: {taken}.")
    if decided.mean_cost is not None:
        compared = (
            ""
            if decided.cost_without_rule is None
            else (f"; always taking the most likely class would cost {decided.cost_without_rule:.4g}")
        )
        sentences.append(
            f"A row costs {decided.mean_cost:.4g} on average{_cost_range(decided)}, where "
            f"{decided.expected_cost:.4g} was expected{compared}."
        )
    if decided.set_coverage is not None and decided.set_sizes is not None:
        assert decided.set_coverage_interval is not None
        low, high = decided.set_coverage_interval
        mean = sum(size * count for size, count in enumerate(decided.set_sizes)) / decided.rows
        sentences.append(
            f"The prediction sets hold the true class in {decided.set_coverage:.1%} of the rows (95% "
            f"interval {share(low)} to {share(high)}), with {mean:.2f} classes on average."
        )
    return sentences


def _cost_range(decided: Decided) -> str:
    if decided.cost_interval is None or not isfinite(decided.cost_interval[0]):
        return ""
    low, high = decided.cost_interval
    return f" (95% interval {low:.4g} to {high:.4g})"


def of_promises(audit: Audit) -> str:
    """Say which promises hold."""
    broken = [check for check in audit.checks if not check.holds]
    untested = listed(audit.untested)
    if not broken and untested:
        return f"No promise of the policy is broken, but these rows are too few to tell about: {untested}."
    if not broken:
        return f"All {len(audit.checks)} promises of the policy hold on these rows."
    names = listed([check.promise for check in broken])
    return f"No longer as promised: {names}. Fit the policy again on recent rows before relying on it."


def _of_groups(groups: GroupComparison) -> str:
    count = len(groups.groups)
    if not groups.differences:
        return f"All rows are in one group, {groups.groups[0].name}: there is nothing to compare."
    differing = [one for one in groups.differences if one.differs]
    if not differing:
        least = min(one.adjusted_p_value for one in groups.differences)
        return f"The {count} groups do not differ by more than chance (smallest p = {least:.2g})."
    named = ", ".join(f"{one.figure} ({p_is(one.adjusted_p_value)})" for one in differing)
    return f"The {count} groups differ by more than chance in {named}."
