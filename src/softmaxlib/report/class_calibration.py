"""Classes whose probabilities are too high or too low, in figures and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .._text import spoken
from ..metrics.class_calibration_test import ClassCalibrationTest, class_calibration_test_of
from ..metrics.holm import holm_adjusted
from ..metrics.predictions import Predictions
from .formats import counted

# The level of every test in the report, as of audits, groups and comparisons. Here it is compared with
# Holm-adjusted p-values: in at most one of twenty calibrated models is any class called misstated.
REJECTED = 0.05
# A deviation below both limits counts as small, whatever the test says: it would change no decision.
SMALL_DIFFERENCE = 0.01  # of the mean probability over all rows
SMALL_ODDS = 1.25  # stated odds over actual ones, over all rows or in a band of probabilities
_LARGE_ODDS = 2.0
_MOST_NAMED = 3


@dataclass(frozen=True)
class ClassCalibration:
    """Calibration of one class: is its probability too high, too low, or right?

    Attributes
    ----------
    name : str
        The class.
    stated, observed : float
        Its mean probability over all rows, and how often it is the truth.
    p_value : float
        Chance of a deviation as clear as found in any class, were all probabilities right (Holm): over all
        rows or in a band of the probability.
    low, high : float
        The band in which the deviation is clearest; 0 and 1 where it is over all rows.
    rows : int
        The rows of that band.
    band_stated, band_observed : float
        The same as `stated` and `observed` in the band.
    misstated : "overstated", "understated" or ""
        The finding: empty where the deviation is no more than chance, or too small to matter.
    """

    name: str
    stated: float
    observed: float
    p_value: float
    low: float
    high: float
    rows: int
    band_stated: float
    band_observed: float
    misstated: Literal["overstated", "understated", ""]

    @property
    def over_all_rows(self) -> bool:
        """True if the deviation is clearest over all rows together."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def odds_ratio(self) -> float:
        """Factor by which the odds in the band are too high or too low; infinite if a share is 0 or 1."""
        large, small = sorted((_odds(self.band_stated), _odds(self.band_observed)), reverse=True)
        return large / small if small > 0 else float("inf")

    @property
    def badly(self) -> bool:
        """True if the class is misstated and its odds are off by a factor of two or more."""
        return bool(self.misstated) and self.odds_ratio >= _LARGE_ODDS


def judge_classes(predictions: Predictions, class_names: Sequence[str]) -> tuple[ClassCalibration, ...]:
    """Judge each class by logits with their labels, each row as often as its weight."""
    return judge_class_test(class_calibration_test_of(predictions), class_names)


def judge_class_test(test: ClassCalibrationTest, class_names: Sequence[str]) -> tuple[ClassCalibration, ...]:
    """Judge each class by its test."""
    found = zip(
        class_names,
        test.stated.tolist(),
        test.observed.tolist(),
        test.adjusted_p_value.tolist(),
        *test.band.T.tolist(),
        test.band_rows.tolist(),
        test.band_stated.tolist(),
        test.band_observed.tolist(),
        strict=True,
    )
    return tuple(_judged(ClassCalibration(*one, misstated="")) for one in found)


def misstated_classes(classes: Sequence[ClassCalibration]) -> list[ClassCalibration]:
    """Return the misstated classes, the clearest first; of two classes, only the positive one."""
    if len(classes) == 2:
        return [one for one in classes if one.misstated][-1:]
    return misstated_labels(classes)


def judge_labels(tests: Mapping[str, ClassCalibrationTest]) -> tuple[ClassCalibration, ...]:
    """Judge the labels of a multi-label model, each by its test of two classes; adjusted for all labels."""
    p_values = holm_adjusted([float(test.adjusted_p_value[1]) for test in tests.values()]).tolist()
    return tuple(
        judge_class_test(test._replace(adjusted_p_value=np.full(2, p_value)), (f"not {name}", name))[1]
        for (name, test), p_value in zip(tests.items(), p_values, strict=True)
    )


def misstated_labels(labels: Sequence[ClassCalibration]) -> list[ClassCalibration]:
    """Return the misstated labels, the clearest first."""
    found = [one for one in labels if one.misstated]
    return sorted(found, key=lambda one: (one.p_value, -one.odds_ratio))


def of_classes(classes: Sequence[ClassCalibration]) -> list[str]:
    """Return the findings of the class tests, in sentences."""
    return _sentences(classes, misstated_classes(classes), "class", "classes")


def of_labels(labels: Sequence[ClassCalibration]) -> list[str]:
    """Return the findings of the tests of the labels, in sentences."""
    return _sentences(labels, misstated_labels(labels), "label", "labels")


def _sentences(
    judged: Sequence[ClassCalibration], misstated: Sequence[ClassCalibration], noun: str, nouns: str
) -> list[str]:
    if not misstated:
        least = min(one.p_value for one in judged)
        if least > REJECTED:
            return [
                f"For every {noun}, the stated probability agrees with its share of the rows, up to chance "
                f"(smallest p = {least:.2g}, all {nouns} counted)."
            ]
        return [f"Some {nouns}' probabilities are off by more than chance, but by too little to matter."]
    sentences = [_of_class(one, noun, nouns) for one in misstated[:_MOST_NAMED]]
    if len(misstated) > _MOST_NAMED:
        others = len(misstated) - _MOST_NAMED
        sentences.append(f"{others} other {f'{noun} is' if others == 1 else f'{nouns} are'} misstated too.")
    return sentences


def _judged(one: ClassCalibration) -> ClassCalibration:
    large = one.odds_ratio >= SMALL_ODDS or (
        one.over_all_rows and abs(one.stated - one.observed) >= SMALL_DIFFERENCE
    )
    if one.p_value > REJECTED or not large:
        return one
    return replace(one, misstated="overstated" if one.band_stated > one.band_observed else "understated")


def _of_class(one: ClassCalibration, noun: str, nouns: str) -> str:
    times = "" if one.odds_ratio == float("inf") else f", odds wrong by a factor of {one.odds_ratio:.2g}"
    return (
        f"The probability of {spoken(one.name, noun)} is {one.misstated}{_where(one)}: "
        f"{_share(one.band_stated)} on average, and it is the truth in {_share(one.band_observed)} of "
        f"{_these(one.rows)}{times} "
        f"({_chance(one.p_value)}, all {nouns} counted)."
    )


def _these(rows: int) -> str:
    return f"{'this' if rows == 1 else 'these'} {counted(rows, 'row')}"


def _where(one: ClassCalibration) -> str:
    if one.over_all_rows:
        return ""
    if one.low == 0:
        return f" where it is below {_share(one.high)}"
    if one.high == 1:
        return f" where it is above {_share(one.low)}"
    return f" where it is between {_share(one.low)} and {_share(one.high)}"


def _share(value: float) -> str:
    """Format a share in percent, with more digits if it is small."""
    nearest = min(value, 1 - value)
    digits = 1 if nearest >= 0.01 or nearest <= 0 else 2 if nearest >= 0.001 else 4
    return f"{value:.{digits}%}"


def _chance(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else float("inf")
