"""The meaning of costs and thresholds, in sentences for someone who decides whether to rely on a rule."""

from collections.abc import Sequence

import numpy as np

from .._text import spoken
from .decision import Floats

_MOST_NAMED = 5


def percent(share: float) -> str:
    """Format a share with as many digits as needed; only an exact 1 becomes 100%."""
    for digits in range(3, 9):
        text = f"{100 * share:.{digits}g}"
        if float(text) < 100 or share >= 1:
            return f"{text}%"
    return f"{100 * share:.17g}%"


def below_confidence(threshold: float) -> str:
    """Return a rule that takes the most likely class, from a confidence on."""
    if threshold <= 0:
        return "Every row gets its most likely class; none is handed over."
    return f"A row is handed over below {percent(threshold)} confidence; others get their most likely class."


def from_probability(threshold: float, class_names: Sequence[str]) -> str:
    """Describe a rule for two classes that takes the second one from a probability on."""
    other, name = map(spoken, class_names)
    return f"{name} is taken from a probability of {percent(threshold)} on, {other} below that."


def by_class_thresholds(thresholds: Floats, class_names: Sequence[str]) -> str:
    """Return a rule with a threshold for each class."""
    if len(class_names) == 2 and abs(thresholds.sum() - 1) < 1e-12:  # then one class always reaches its own
        return from_probability(float(thresholds[1]), class_names)
    named = [f"{name} {percent(value)}" for name, value in zip(class_names, thresholds.tolist(), strict=True)]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return (
        f"A class is taken if its probability reaches its threshold ({', '.join(named[:_MOST_NAMED])}"
        f"{more}); a row without such a class is handed over."
    )


def of_costs(
    cost: Floats, abstain_cost: float | None, class_names: Sequence[str], takes_classes: bool
) -> str:
    """Return a rule that takes the action of least expected cost."""
    threshold = least_confidence(cost, abstain_cost)
    if takes_classes and threshold is not None:
        if abstain_cost is None:
            return "Every mistake costs the same: every row gets its most likely class."
        return (
            f"A mistake costs {cost.max():.4g} and handing a row over {abstain_cost:.4g}: "
            f"{_lower(below_confidence(threshold))}"
        )
    if takes_classes and cost.shape == (2, 2) and not cost.diagonal().any() and (cost + np.eye(2) > 0).all():
        return _of_two_mistakes(float(cost[0, 1]), float(cost[1, 0]), abstain_cost, class_names)
    aside = (
        ""
        if abstain_cost is None
        else (f" A row is handed over if even that has an expected cost above {abstain_cost:.4g}.")
    )
    return f"The action of least expected cost is taken.{aside}"


def least_confidence(cost: Floats, abstain_cost: float | None) -> float | None:
    """Return the confidence below which rows are set aside, where every mistake costs the same; else None."""
    classes, actions = cost.shape
    mistake = cost.max()
    if classes != actions or mistake <= 0 or not np.array_equal(cost, mistake * (1 - np.eye(classes))):
        return None
    threshold = 0.0 if abstain_cost is None else 1 - abstain_cost / mistake
    return max(float(threshold), 0.0)


def _of_two_mistakes(
    false_positive: float, false_negative: float, abstain_cost: float | None, class_names: Sequence[str]
) -> str:
    other, name = map(spoken, class_names)
    costs = f"{false_positive:.4g}", f"{false_negative:.4g}"
    compared = f"Taking {other} for {name} costs {costs[0]}, taking {name} for {other} costs {costs[1]}: "
    threshold = false_positive / (false_positive + false_negative)
    if abstain_cost is None:
        return f"{compared}{from_probability(threshold, class_names)}"
    low, high = abstain_cost / false_negative, 1 - abstain_cost / false_positive
    if low >= high:  # one of the two always costs no more than to hand the row over
        return f"{compared}{from_probability(threshold, class_names)} No row is handed over."
    return (
        f"{compared}a row is handed over if the probability of {name} is between {percent(low)} and "
        f"{percent(high)}; below that {other} is taken, above it {name}."
    )


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
